"""Steps at a fixed period."""

import jax.numpy as jnp

from gdlab.rules.leafwise import each
from gdlab.rules.scheduled import Hyperparameter
from gdlab.types import Array


def due(count: Array, period: Hyperparameter) -> Array:
    """Whether `count` is a multiple of `period`, which may be traced and is rounded to an integer of at least 1."""
    whole = each(lambda _, period: jnp.maximum(jnp.round(period), 1), jnp.zeros([]), period=period)
    return jnp.asarray(count, jnp.int32) % whole.astype(jnp.int32) == 0
