"""The dense form of a small matrix."""

import jax
import jax.numpy as jnp

from gdlab.curvature.flat_operator import flat
from gdlab.curvature.products import Matvec
from gdlab.types import Array, PyTree


def dense(matvec: Matvec, like: PyTree) -> Array:
    """The matrix [d, d] of a matrix-vector product, in the order of `jax.flatten_util.ravel_pytree`.

    Computes all d products at once and holds d^2 numbers: suitable for d up to a few hundred.
    """
    operator = flat(matvec, like)
    columns = jax.vmap(operator.matvec)(jnp.eye(operator.size, dtype=operator.dtype))
    return columns.T
