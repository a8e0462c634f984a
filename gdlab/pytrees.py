"""Pytrees as vectors: their inner product and Euclidean norm."""

import jax
import jax.numpy as jnp

from gdlab.types import Array, PyTree


def precision(tree: PyTree) -> type:
    """The dtype to sum in: float64 where a leaf has it, else float32."""
    return jnp.float64 if any(jnp.asarray(leaf).dtype == jnp.float64 for leaf in jax.tree.leaves(tree)) else jnp.float32


def dot(x: PyTree, y: PyTree) -> Array:
    """The inner product of two pytrees of one structure, summed in `precision` of both."""
    dtype = precision((x, y))
    pairs = zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True)
    return sum((jnp.sum(jnp.asarray(a, dtype) * jnp.asarray(b, dtype)) for a, b in pairs), jnp.zeros((), dtype))


def norm(x: PyTree) -> Array:
    """The Euclidean norm of a pytree; its gradient at zero is zero."""
    square = dot(x, x)
    positive = square > 0
    # NaN is not above zero, but must come through.
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), square)
