"""Conversion of the numbers of a problem to the precision of the run."""

from typing import Any

import jax.numpy as jnp

from gdlab.types import Array


def as_float(values: Any) -> Array:
    """Numbers, any of which may be traced, as an array of JAX's default float (float32; float64 under x64)."""
    return jnp.asarray(values, jnp.result_type(float))
