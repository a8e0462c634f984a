"""Optax's optimisers by name."""

import functools
import inspect
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

import optax
import optax.contrib

from gdlab.rules.hyperparameters import LR, OPTAX_LR, call
from gdlab.types import Rule

# Functions of optax that return a transformation but are not optimisers on their own: they need others, or data.
_NOT_RULES = frozenset({"dpsgd", "dogwrapper", "split_real_and_imaginary"})


def names() -> list[str]:
    """The optimisers of optax, and of optax.contrib, that need nothing but numbers."""
    return sorted(name for name in {*dir(optax), *dir(optax.contrib)} if _is_rule(name))


def from_optax(name: str) -> Callable[..., Rule]:
    """The factory of an optimiser of optax, with optax's own hyperparameters, `learning_rate` under the name `lr`.

    Numbers may be traced where optax allows it; the updates come back in the dtype of the gradients, also where a
    traced number would have widened them.

    Raises:
        ValueError: optax has no optimiser of that name.
    """
    if not _is_rule(name):
        near = get_close_matches(name, names(), 1)
        raise ValueError(f"optax has no optimiser {name!r}" + (f": did you mean {near[0]}?" if near else ""))
    factory = _find(name)

    @functools.wraps(factory)
    def make(**values: Any) -> Rule:
        return optax.with_extra_args_support(call(factory, values))

    parameters = []
    for parameter in inspect.signature(factory).parameters.values():
        renamed = parameter.replace(name=LR) if parameter.name == OPTAX_LR else parameter
        # Its annotations speak of optax's own types; what a config may give is told by the default.
        parameters.append(renamed.replace(kind=parameter.KEYWORD_ONLY, annotation=_annotation(renamed)))
    make.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return make


def _annotation(parameter: inspect.Parameter) -> Any:
    if parameter.name == LR:
        return float
    if parameter.default is None:
        return Any
    return parameter.empty


def _find(name: str) -> Callable[..., Any]:
    return getattr(optax, name) if hasattr(optax, name) else getattr(optax.contrib, name)


@functools.cache
def _is_rule(name: str) -> bool:
    if name.startswith("_") or name in _NOT_RULES or not (hasattr(optax, name) or hasattr(optax.contrib, name)):
        return False
    factory = _find(name)
    if not inspect.isfunction(factory):
        return False
    parameters = inspect.signature(factory).parameters
    required = {n for n, p in parameters.items() if p.default is p.empty and p.kind is not p.VAR_KEYWORD}
    return OPTAX_LR in parameters and required <= {OPTAX_LR}
