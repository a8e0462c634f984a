"""Inner product and Euclidean norm of pytrees."""

import jax
import jax.numpy as jnp

from gdlab.types import Array, PyTree


def precision(tree: PyTree) -> type:
    """The dtype of sums over a pytree: float64 if a leaf has it, else float32."""
    return jnp.float64 if any(jnp.asarray(leaf).dtype == jnp.float64 for leaf in jax.tree.leaves(tree)) else jnp.float32


def dot(x: PyTree, y: PyTree) -> Array:
    """The inner product of two pytrees of the same structure, summed in the `precision` of both."""
    dtype = precision((x, y))
    pairs = zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True)
    return sum((jnp.sum(jnp.asarray(a, dtype) * jnp.asarray(b, dtype)) for a, b in pairs), jnp.zeros((), dtype))


def norm(x: PyTree) -> Array:
    """The Euclidean norm of a pytree; its gradient at zero is zero."""
    square = dot(x, x)
    positive = square > 0
    # NaN is not positive, and is returned as it is.
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), square)
