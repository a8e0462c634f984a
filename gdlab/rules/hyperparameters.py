"""The hyperparameters of a rule factory (ours, optax's or a user's), and a call of it by their names."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_LONG, _SHORT = "learning_rate", "lr"


def hyperparameters(factory: Callable[..., Any]) -> frozenset[str] | None:
    """The names of the arguments that a factory takes; None if it takes any (`**kwargs`).

    They are the names in its signature. For a `functools.partial` they include the bound ones, which a call can
    override. A factory with an attribute `hyperparameters`, a set of names, takes exactly those; such names may be
    dotted, as "lr.peak" for the peak of a schedule. `lr` is an alias for `learning_rate` unless the factory has an `lr`
    too.
    """
    own = _own(factory)
    return None if own is None else own | {_short(name) for name in _aliased(own)}


def call(factory: Callable[..., Any], values: Mapping[str, Any], *args: Any) -> Any:
    """`factory(*args, **values)`, where `lr` may stand for the factory's `learning_rate`.

    Raises:
        TypeError: a hyperparameter is given under both names, or the factory does not take it.
    """
    aliased = {_short(name): name for name in _aliased(_own(factory) or frozenset())}
    twice = [name for name in values if name in aliased and aliased[name] in values]
    if twice:
        raise TypeError(f"{twice[0]} and {aliased[twice[0]]} are the same hyperparameter; give one of them")
    return factory(*args, **{aliased.get(name, name): value for name, value in values.items()})


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


def _aliased(names: Iterable[str]) -> list[str]:
    """The names `learning_rate` and `learning_rate.*`; none where `lr` is a separate hyperparameter."""
    firsts = {name.partition(".")[0] for name in names}
    return [] if _SHORT in firsts else [name for name in names if name.partition(".")[0] == _LONG]


def _short(name: str) -> str:
    return _SHORT + name.removeprefix(_LONG)
