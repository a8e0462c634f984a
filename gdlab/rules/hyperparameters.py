"""The names of the hyperparameters of a rule factory (gdlab, optax or user), and calls of the factory by name."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_LONG, _SHORT = "learning_rate", "lr"


def hyperparameters(factory: Callable[..., Any]) -> frozenset[str] | None:
    """The names of the arguments that a factory takes; None if it takes any (`**kwargs`).

    They are the names in its signature. For a `functools.partial` they include the bound arguments, which a call can
    override. If the factory has an attribute `hyperparameters`, a set of names, it takes exactly these names; they may
    be dotted, such as "lr.peak" for the peak of a schedule. `lr` is an alias for `learning_rate` unless the factory
    also has an argument `lr`.
    """
    own = _own(factory)
    return None if own is None else with_aliases(own)


def with_aliases(names: Iterable[str]) -> frozenset[str]:
    """The names with their aliases (see `short_name`): `lr` for `learning_rate`, unless `lr` is one of the names."""
    own = frozenset(names)
    return own | {alias for name in own for alias in [short_name(name)] if own_name(own, alias) == name}


def own_name(names: Iterable[str], name: str) -> str:
    """The name in `names` that `name` refers to: `lr` means `learning_rate` if only the latter is in `names`."""
    first, dot, rest = name.partition(".")
    firsts = {known.partition(".")[0] for known in names} if first == _SHORT else ()
    return _LONG + dot + rest if _LONG in firsts and _SHORT not in firsts else name


def short_name(name: str) -> str:
    """`lr` for `learning_rate` and `lr.peak` for `learning_rate.peak`; other names are returned unchanged."""
    first, dot, rest = name.partition(".")
    return _SHORT + dot + rest if first == _LONG else name


def is_learning_rate(name: str) -> bool:
    """Whether a name is `lr` or `learning_rate`."""
    return short_name(name) == _SHORT


def call(factory: Callable[..., Any], values: Mapping[str, Any], *args: Any) -> Any:
    """`factory(*args, **values)`, where `lr` is accepted for the factory's `learning_rate`.

    Raises:
        TypeError: a hyperparameter is given under both names, or the factory does not take it.
    """
    known = _own(factory) or frozenset()
    named: dict[str, Any] = {}
    for name, value in values.items():
        own = own_name(known, name)
        if own in named:
            raise TypeError(f"{short_name(own)} and {own} are the same hyperparameter; give one of them")
        named[own] = value
    return factory(*args, **named)


def signature(factory: Callable[..., Any]) -> inspect.Signature:
    """A factory's signature; annotations that are strings are evaluated where possible."""
    try:
        return inspect.signature(factory, eval_str=True)
    except (NameError, SyntaxError, TypeError, AttributeError):  # e.g. a name imported under TYPE_CHECKING
        return inspect.signature(factory)


def _own(factory: Callable[..., Any]) -> frozenset[str] | None:
    declared = getattr(factory, "hyperparameters", None)
    if declared is not None:
        return frozenset(declared)
    if isinstance(factory, functools.partial) and hasattr(factory.func, "hyperparameters"):
        return _own(factory.func)
    inner, bound = (factory.func, factory.keywords) if isinstance(factory, functools.partial) else (factory, {})
    if hasattr(inner, "around"):  # a wrapper (see `gdlab.rules.wrapping`)
        known = _own(inner.around(bound.get("of", inspect.signature(inner).parameters["of"].default)))
        return None if known is None else known | {"of"}
    parameters = inspect.signature(factory).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return frozenset(p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
