"""Formulas applied leaf by leaf, in at least single precision.

In bfloat16 the number 0.999 rounds to 1, and a moving average with that decay would never change. So for any dtype of
the parameters, states and arithmetic are at least float32; only the updates are rounded to the dtype of the parameters.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gdlab.types import Array, Params, PyTree

_SINGLE_BITS = 32


def each(formula: Callable[..., Array], first: PyTree, *rest: PyTree, **hyperparameters: Any) -> PyTree:
    """`formula(leaf of first, leaf of each other tree, **hyperparameters)`, leaf by leaf.

    The trees have the same structure. The leaves at the same position and the hyperparameters are cast to the widest
    dtype of these leaves, at least float32. The result has the shape that the formula returns and the dtype of the leaf
    of `first`.

    Raises:
        TypeError: a leaf is not of real floating-point numbers.
        ValueError: a hyperparameter is not a scalar. An array would broadcast over the coordinates;
            use `jax.vmap` to run many values.
    """
    for name, value in hyperparameters.items():
        if jnp.ndim(value) > 0:
            raise ValueError(
                f"{name} must be one number, not an array of shape {jnp.shape(value)}; use jax.vmap to run many values"
            )

    def at(*leaves: Any) -> Array:
        arrays = [jnp.asarray(leaf) for leaf in leaves]
        dtype = max((_wide(array.dtype) for array in arrays), key=lambda wide: jnp.finfo(wide).bits)
        numbers = {name: jnp.asarray(value, dtype) for name, value in hyperparameters.items()}
        return formula(*(array.astype(dtype) for array in arrays), **numbers).astype(arrays[0].dtype)

    return jax.tree.map(at, first, *rest)


def zeros(params: Params) -> PyTree:
    """Zeros shaped like the params, at least float32."""
    return jax.tree.map(jnp.zeros_like, widen(params))


def full(params: Params, **value: Any) -> PyTree:
    """A tree shaped like the params, at least float32, filled with one number: `full(params, lr=0.1)`.

    The keyword is the name of the hyperparameter, which error messages use.
    """

    def formula(leaf: Array, **value: Array) -> Array:
        return jnp.full_like(leaf, *value.values())

    return each(formula, widen(params), **value)


def normal(key: Array, like: Params) -> PyTree:
    """Standard normal draws shaped like each leaf, at least float32; leaf i is drawn with the key `fold_in(key, i)`."""
    leaves, structure = jax.tree.flatten(widen(like))
    draws = [jax.random.normal(jax.random.fold_in(key, i), leaf.shape, leaf.dtype) for i, leaf in enumerate(leaves)]
    return jax.tree.unflatten(structure, draws)


def widen(tree: PyTree) -> PyTree:
    """The tree in at least float32.

    Raises:
        TypeError: a leaf is not of real floating-point numbers.
    """
    arrays = jax.tree.map(jnp.asarray, tree)
    return jax.tree.map(lambda leaf: leaf.astype(_wide(leaf.dtype)), arrays)


def narrow(tree: PyTree, like: PyTree) -> PyTree:
    """The tree cast to the dtypes of another tree of the same structure."""
    return jax.tree.map(lambda other, leaf: jnp.asarray(leaf).astype(jnp.asarray(other).dtype), like, tree)


def select(condition: Array, new: PyTree, old: PyTree) -> PyTree:
    """`new` where the scalar condition holds, else `old`, in the dtypes of `old`."""
    return jax.tree.map(lambda n, o: jnp.where(condition, n if n.dtype == o.dtype else n.astype(o.dtype), o), new, old)


def root(x: Array) -> Array:
    """The square root; 0, with derivative 0, where x <= 0; NaN where x is NaN.

    The second moment of a coordinate whose gradient has always been 0 (a weight of a dead unit, for example) is 0. The
    derivative of the square root is infinite there, and one such coordinate would make the derivative of a whole run
    (with respect to lr, say) NaN.
    """
    zero = x <= 0  # False for NaN; the square root of NaN is NaN
    return jnp.where(zero, 0.0, jnp.sqrt(jnp.where(zero, 1.0, x)))


def divide(numerator: Array, denominator: Array, otherwise: Any = 0.0) -> Array:
    """numerator / denominator; `otherwise` where the denominator is <= 0, with a finite derivative; NaN stays NaN."""
    zero = denominator <= 0
    return jnp.where(zero, otherwise, numerator / jnp.where(zero, 1.0, denominator))


def _wide(dtype: Any) -> Any:
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"rules update real floating-point numbers, not {dtype}")
    return jnp.float32 if jnp.finfo(dtype).bits < _SINGLE_BITS else dtype
