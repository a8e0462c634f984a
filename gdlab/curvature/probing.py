"""Random probe vectors."""

import jax

from gdlab.curvature.flat_operator import FlatOperator
from gdlab.types import Array


def signs(key: Array, operator: FlatOperator) -> Array:
    """A Rademacher vector [d]: independent entries, 1 or -1 with equal probability; E v v' = I."""
    return jax.random.rademacher(key, (operator.size,), operator.dtype)
