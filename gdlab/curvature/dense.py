"""A small matrix written out."""

import jax
import jax.numpy as jnp

from gdlab.curvature.flat_operator import flat
from gdlab.curvature.products import Matvec
from gdlab.types import Array, PyTree


def dense(matvec: Matvec, like: PyTree) -> Array:
    """The matrix [d, d] of a product, entries in the order of `jax.flatten_util.ravel_pytree`.

    All d products at once, and d^2 numbers: for d up to some hundreds.
    """
    operator = flat(matvec, like)
    columns = jax.vmap(operator.matvec)(jnp.eye(operator.size, dtype=operator.dtype))
    return columns.T
