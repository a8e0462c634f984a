"""Checks of what the functions of problems, rules and probes return; each error names the function, file and line.

The checks run while JAX traces a run, so they cost nothing at run time.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gdlab.errors import UserError
from gdlab.types import Array, Params, PyTree


class UserCodeError(UserError, TypeError):
    """A function of a problem, rule or probe returns a value of the wrong type, shape or structure."""


def checked_params(params: Any, init: Callable[..., Any]) -> Params:
    """The starting point as arrays.

    Raises:
        UserCodeError: there is no array in it, or a leaf is not made of real floating-point numbers.
    """
    leaves = jax.tree.leaves(params)
    if not leaves:
        raise _error("the problem's init", init, "a pytree of arrays", params)
    for leaf in leaves:
        if not hasattr(leaf, "dtype") and not isinstance(leaf, float):
            raise _error("the problem's init", init, "a pytree of arrays of floating-point numbers", leaf)
        if not jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating):
            raise _error("the problem's init", init, "a pytree of arrays of floating-point numbers", leaf)
    return jax.tree.map(jnp.asarray, params)


def checked_loss(loss: Callable[..., Any]) -> Callable[..., Array]:
    """The loss, which must return one real floating-point number: shape ()."""

    @functools.wraps(loss)
    def call(*args: Any) -> Array:
        value = loss(*args)
        if not hasattr(value, "dtype") and not isinstance(value, float):
            raise _error("the problem's loss", loss, "a scalar array, shape ()", value)
        if jnp.shape(value) != () or not jnp.issubdtype(jnp.asarray(value).dtype, jnp.floating):
            raise _error("the problem's loss", loss, "a floating-point scalar, shape ()", value)
        return jnp.asarray(value)

    return call


def checked_update(returned: Any, update: Callable[..., Any], params: Params, state: PyTree) -> tuple[PyTree, PyTree]:
    """`(updates, state)`: updates shaped like `params`, and a state of the structure, shapes and dtypes of `state`."""
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise _error("the rule's update", update, "a tuple (updates, state)", returned)
    updates, after = returned
    if _structure(updates) != _structure(params) or _shapes(updates) != _shapes(params):
        raise _error("the rule's update", update, f"updates shaped like the parameters, {_layout(params)}", updates)
    after = jax.tree.map(jnp.asarray, after)
    if _structure(after) != _structure(state) or _avals(after) != _avals(state):
        wanted = f"a state of the same structure, shapes and dtypes at each step, {_layout(state)}"
        raise _error("the rule's update", update, wanted, after)
    return updates, after


def checked_measurement(name: str, value: Any) -> Array:
    """The measurement of a probe, as an array."""
    if value is None or isinstance(value, str | tuple | list | dict):
        raise UserCodeError(f"the probe {name!r} must return one array, but it returned {_layout(value)}")
    return jnp.asarray(value)


def _place(function: Callable[..., Any]) -> str:
    """The file and line of a function, as " (file.py, line 3)"; empty if they are unknown."""
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f" ({code.co_filename}, line {code.co_firstlineno})" if code is not None else ""


def _error(what: str, function: Callable[..., Any], wanted: str, returned: Any) -> UserCodeError:
    return UserCodeError(f"{what}{_place(function)} must return {wanted}, but it returned {_layout(returned)}")


def _layout(tree: Any) -> str:
    """A short description of a value: its arrays' dtypes and shapes in place of their numbers."""
    if tree is None or isinstance(tree, str | bool | int | float):
        return repr(tree)
    described = jax.tree.map(_Shown, tree)
    text = repr(described)
    return text if len(text) <= 400 else f"{text[:400]}..."


class _Shown:
    def __init__(self, leaf: Any) -> None:
        self._leaf = leaf

    def __repr__(self) -> str:
        if not hasattr(self._leaf, "dtype"):
            return repr(self._leaf)
        return f"{self._leaf.dtype}[{','.join(map(str, self._leaf.shape))}]"


def _structure(tree: PyTree) -> Any:
    return jax.tree.structure(tree)


def _shapes(tree: PyTree) -> list[tuple[int, ...]]:
    return [jnp.shape(leaf) for leaf in jax.tree.leaves(tree)]


def _avals(tree: PyTree) -> list[tuple[Any, Any]]:
    return [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tree)]
