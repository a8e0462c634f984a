"""Vectors of random signs, through which a matrix is seen."""

import jax

from gdlab.curvature.flat_operator import Flat
from gdlab.types import Array


def signs(key: Array, operator: Flat) -> Array:
    """A Rademacher vector [d]: entries 1 or -1, equally likely and independent; E v v' = I."""
    return jax.random.rademacher(key, (operator.size,), operator.dtype)
