"""What a rule factory can be called with: gdlab's, optax's or a user's own."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

LR, OPTAX_LR = "lr", "learning_rate"


def hyperparameters(factory: Callable[..., Any]) -> frozenset[str] | None:
    """The names that a factory takes; None if it takes any (`**kwargs`).

    `lr` stands for `learning_rate` where only that is there. An attribute `hyperparameters` of the factory, or of what
    a `functools.partial` wraps, goes before its signature.
    """
    declared = getattr(factory, "hyperparameters", None)
    if declared is None and isinstance(factory, functools.partial):
        return hyperparameters(factory.func)
    if declared is not None:
        return frozenset(declared)
    parameters = inspect.signature(factory).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return None
    names = {name for name, p in parameters.items() if p.kind is not p.VAR_POSITIONAL}
    return frozenset(names | {LR} if OPTAX_LR in names else names)


def call(factory: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    """The factory's rule for these values; `lr` goes to `learning_rate` where the factory has only that."""
    given = dict(values)
    if LR in given and _renames(factory):
        given[OPTAX_LR] = given.pop(LR)
    return factory(**given)


def _renames(factory: Callable[..., Any]) -> bool:
    if isinstance(factory, functools.partial):
        return _renames(factory.func)
    if hasattr(factory, "hyperparameters"):
        return False
    parameters = inspect.signature(factory).parameters
    return OPTAX_LR in parameters and LR not in parameters
