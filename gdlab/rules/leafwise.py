"""A formula over the leaves of trees, in a precision that holds its hyperparameters.

In bfloat16 0.999 is 1, and an average with that weight never moves. So whatever the parameters' dtype, accumulators
and arithmetic have at least single precision; only what is handed back is rounded to the dtype that it is for.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gdlab.types import Array, Params, PyTree

_SINGLE_BITS = 32


def each(formula: Callable[..., Array], first: PyTree, *rest: PyTree, **hyperparameters: Any) -> PyTree:
    """`formula(leaf of first, leaf of each other tree, **hyperparameters)`, leaf by leaf; trees of one structure.

    Every argument has the widest dtype among the leaves at that place, float32 at least. The result has the shape that
    the formula gives it and the dtype of `first`'s leaf.

    Raises:
        TypeError: a leaf that is not of real floating-point numbers.
        ValueError: a hyperparameter that is an array of several numbers. It would be broadcast over the coordinates;
            many values are for `jax.vmap`.
    """
    for name, value in hyperparameters.items():
        if jnp.ndim(value) > 0:
            raise ValueError(f"{name} must be one number, not an array of shape {jnp.shape(value)}; to try many, vmap")

    def at(*leaves: Any) -> Array:
        arrays = [jnp.asarray(leaf) for leaf in leaves]
        dtype = max((_wide(array.dtype) for array in arrays), key=lambda wide: jnp.finfo(wide).bits)
        numbers = {name: jnp.asarray(value, dtype) for name, value in hyperparameters.items()}
        return formula(*(array.astype(dtype) for array in arrays), **numbers).astype(arrays[0].dtype)

    return jax.tree.map(at, first, *rest)


def zeros(params: Params) -> PyTree:
    """An accumulator of zeros for each leaf: of its shape, at least float32."""
    return jax.tree.map(jnp.zeros_like, widen(params))


def full(params: Params, **value: Any) -> PyTree:
    """A tree shaped like the params, at least float32, filled with the one hyperparameter given by name."""

    def formula(leaf: Array, **value: Array) -> Array:
        return jnp.full_like(leaf, *value.values())

    return each(formula, widen(params), **value)


def normal(key: Array, like: Params) -> PyTree:
    """Standard normal draws in the shape of each leaf, at least float32; leaf i from the key `fold_in(key, i)`."""
    leaves, structure = jax.tree.flatten(widen(like))
    draws = [jax.random.normal(jax.random.fold_in(key, i), leaf.shape, leaf.dtype) for i, leaf in enumerate(leaves)]
    return jax.tree.unflatten(structure, draws)


def widen(tree: PyTree) -> PyTree:
    """The tree in at least float32.

    Raises:
        TypeError: a leaf that is not of real floating-point numbers.
    """
    arrays = jax.tree.map(jnp.asarray, tree)
    return jax.tree.map(lambda leaf: leaf.astype(_wide(leaf.dtype)), arrays)


def narrow(tree: PyTree, like: PyTree) -> PyTree:
    """The tree in the dtypes of another of the same structure."""
    return jax.tree.map(lambda other, leaf: jnp.asarray(leaf).astype(jnp.asarray(other).dtype), like, tree)


def either(condition: Array, new: PyTree, old: PyTree) -> PyTree:
    """The one tree or the other, in the dtypes of the old."""
    return jax.tree.map(lambda n, o: jnp.where(condition, n if n.dtype == o.dtype else n.astype(o.dtype), o), new, old)


def root(x: Array) -> Array:
    """The square root; 0, with derivative 0, where x <= 0.

    A coordinate whose gradient has always been 0 (a dead unit's) has the second moment 0. There the root's own
    derivative is infinite, and one such coordinate would make the gradient of a whole run, by its rate say, NaN.
    """
    above = x > 0
    return jnp.where(above, jnp.sqrt(jnp.where(above, x, 1.0)), 0.0)


def _wide(dtype: Any) -> Any:
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"a rule moves real floating-point numbers, not {dtype}")
    return jnp.float32 if jnp.finfo(dtype).bits < _SINGLE_BITS else dtype
