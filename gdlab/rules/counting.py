"""Steps that are due now and then."""

import jax.numpy as jnp

from gdlab.rules.leafwise import each
from gdlab.rules.scheduled import Hyperparameter
from gdlab.types import Array


def due(step: Array, period: Hyperparameter) -> Array:
    """Whether a step's number is a multiple of `period`, which may be traced, or in half precision; below 1 it is 1."""
    whole = each(lambda _, period: jnp.maximum(jnp.round(period), 1), jnp.zeros([]), period=period)
    return jnp.asarray(step, jnp.int32) % whole.astype(jnp.int32) == 0
