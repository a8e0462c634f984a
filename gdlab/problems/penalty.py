"""The ridge penalty."""

from typing import Any

import jax.numpy as jnp

from gdlab.types import Array


def with_l2(loss: Array, l2: Any, *weights: Array) -> Array:
    """loss + l2 / 2 * the sum of the squares of the weights; `l2` may be traced."""
    if isinstance(l2, int | float) and l2 == 0:
        return loss  # a number 0, not a tracer: the penalty is not computed
    return loss + 0.5 * jnp.asarray(l2, loss.dtype) * sum(jnp.sum(w**2) for w in weights)
