"""Arithmetic over pytrees whose leaves may differ in dtype.

Accumulators are at least float32 (a decay of 0.999 is 1 in bfloat16), and hyperparameters are cast to the dtype of the
leaf they meet, so that neither a float64 leaf is computed in float32 nor a bfloat16 one turned into float32.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gdlab.types import Array, PyTree


def wide(leaf: Array) -> Array:
    """The leaf in the dtype of its accumulators: its own, but float32 for half precision."""
    leaf = jnp.asarray(leaf)
    return leaf.astype(jnp.float32) if jnp.finfo(leaf.dtype).bits < 32 else leaf


def zeros(params: PyTree) -> PyTree:
    """An accumulator for each leaf, at zero."""
    return full(params, 0)


def full(params: PyTree, value: Any) -> PyTree:
    """An accumulator for each leaf, at `value` throughout."""
    return jax.tree.map(lambda p: jnp.full(jnp.shape(p), jnp.asarray(value, wide(p).dtype)), params)


def each(fn: Callable[..., Array], *trees: PyTree, **hyperparameters: Any) -> PyTree:
    """`fn(*leaves, **hyperparameters)` for the leaves of trees of one structure, all in their accumulators' dtype."""

    def leaf(*leaves: Array) -> Array:
        leaves = tuple(wide(leaf) for leaf in leaves)
        return fn(*leaves, **{name: jnp.asarray(value, leaves[0].dtype) for name, value in hyperparameters.items()})

    return jax.tree.map(leaf, *trees)


def like(updates: PyTree, grads: PyTree) -> PyTree:
    """The updates in the dtypes of the gradients, that is of the parameters."""
    return jax.tree.map(lambda u, g: u.astype(jnp.asarray(g).dtype), updates, grads)
