"""Replace primitives in the program of a function."""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend import core

# Takes an equation of a jaxpr; returns the function of its inputs that replaces it, or None if it stays.
Replacement = Callable[[Any], Callable[..., Any] | None]


def rewritten(fn: Callable[..., Any], replacement: Replacement) -> Callable[..., Any]:
    """The same function with some of its equations replaced, however deeply nested in loops, conditions and calls.

    If the function takes a gradient, the equations of the gradient are replaced. The result must not be differentiated
    itself: for a function with its own derivative, JAX would use the derivative that is not rewritten.
    """

    def program(*args: Any) -> Any:
        closed, result = jax.make_jaxpr(fn, return_shape=True)(*args)
        closed = closed.replace(jaxpr=_jaxpr(closed.jaxpr, replacement))
        return jax.tree.unflatten(jax.tree.structure(result), core.jaxpr_as_fun(closed)(*jax.tree.leaves(args)))

    return program


def _jaxpr(jaxpr: Any, replacement: Replacement) -> Any:
    """The jaxpr with equations replaced; the jaxpr itself if none is."""
    eqns = [_equation(eqn, replacement) for eqn in jaxpr.eqns]
    return jaxpr.replace(eqns=eqns) if _differ(eqns, jaxpr.eqns) else jaxpr


def _equation(eqn: Any, replacement: Replacement) -> Any:
    new = replacement(eqn)
    if new is not None:
        # A call of the function, so that one equation replaces one equation.
        shapes = [jax.ShapeDtypeStruct(var.aval.shape, var.aval.dtype) for var in eqn.invars]
        (call,) = jax.make_jaxpr(jax.jit(new))(*shapes).jaxpr.eqns
        return eqn.replace(primitive=call.primitive, params=call.params)
    params = {name: _param(value, replacement) for name, value in eqn.params.items()}
    return eqn.replace(params=params) if _differ(params.values(), eqn.params.values()) else eqn


def _param(value: Any, replacement: Replacement) -> Any:
    """A parameter of an equation, with the jaxprs in it rewritten."""
    if isinstance(value, tuple):
        values = [_param(one, replacement) for one in value]
        if not _differ(values, value):
            return value
        return type(value)(*values) if hasattr(value, "_fields") else tuple(values)  # a named tuple, or a tuple
    if isinstance(value, core.ClosedJaxpr):
        inner = _jaxpr(value.jaxpr, replacement)
        return value if inner is value.jaxpr else value.replace(jaxpr=inner)
    return _jaxpr(value, replacement) if isinstance(value, core.Jaxpr) else value


def _differ(new: Any, old: Any) -> bool:
    return any(one is not other for one, other in zip(new, old, strict=True))
