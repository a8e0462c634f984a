"""Look up the kinds in a config in the register, and read and check their parameters."""

import inspect
import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal

# Imported for their entries in the register.
import gdlab.problems
import gdlab.rules
import gdlab.schedules
import gdlab.training.probes  # noqa: F401
from gdlab import register
from gdlab.config import value_types
from gdlab.config.errors import shown
from gdlab.config.node import Path, Report
from gdlab.config.resolved_kind import ResolvedKind
from gdlab.config.schema import named
from gdlab.config.value_types import ValueTypes
from gdlab.errors import did_you_mean, nearest
from gdlab.rules import wrapping
from gdlab.rules.hyperparameters import is_learning_rate
from gdlab.rules.wrapping import OPTAX

# An option of every probe: the number of steps between measurements.
EVERY = "every"
# An option of every figure: whether it has a title, a caption and the verdicts of its check.
NOTES = "notes"
# The parameters of schedules that are values of the schedule, rather than numbers of steps or shape parameters.
SCHEDULE_VALUES = frozenset({"value", "peak", "start", "then", "end", "floor", "low", "high"})

What = Literal["rule", "schedule", "problem", "probe", "figure", "check"]
SHELVES: dict[What, dict[str, register.Entry]] = {
    "rule": register.rules,
    "schedule": register.schedules,
    "problem": register.problems,
    "probe": register.probes,
    "figure": register.figures,
    "check": register.checks,
}


def read_kind(what: What, path: Path, written: Any, report: Report) -> ResolvedKind | None:
    """Read `{kind: ..., parameter: value}`, or a name alone; errors go to the report. None if the kind is unknown.

    A missing parameter without a default is not an error here: an axis of the sweep may set it.
    """
    at = path if isinstance(written, str) and what in ("probe", "check") else (*path, "kind")
    if what in ("figure", "probe", "check"):
        written = named(written)
    if not isinstance(written, dict) or not isinstance(written.get("kind"), str):
        return None  # pydantic reports it
    make = factory(what, at, written["kind"], report)
    given = {(*path, name): value for name, value in written.items() if name != "kind"}
    if what == "rule" and make is not None and wraps(written["kind"]):
        make, given = _around(make, path, written, report)
    if make is None:
        return None
    takes, required, is_open = takes_of(what, written["kind"], make)
    resolved = ResolvedKind(path, written["kind"], make, takes, is_open, required)
    for place, value in given.items():
        _give(what, resolved, place, value, report)
    return resolved


wrapped = cache(wrapping.around)  # the same pair gives the same factory, so `parameters` is cached


def wraps(kind: str) -> bool:
    """Whether a rule wraps another, which its parameter `of` names."""
    return kind in register.rules and bool(register.rules[kind].info.get("wraps"))


def factory(what: What, path: Path, kind: str, report: Report) -> Callable[..., Any] | None:
    """The factory registered under a kind; None, and an error in the report, if there is none."""
    if what == "rule" and kind.startswith(OPTAX):
        from gdlab.rules.from_optax import from_optax

        try:
            return from_optax(kind.removeprefix(OPTAX))
        except ValueError as error:
            report.add(path, str(error))
            return None
    shelf = SHELVES[what]
    if kind in shelf:
        return shelf[kind].make
    # If a file of `code` failed, the kinds that it registers are unknown, and the failure is reported already.
    if not report.faulty("code"):
        hint = did_you_mean(kind, shelf) or f"there are {', '.join(sorted(shelf))}"
        report.add(path, f"there is no {what} {kind!r}", hint=hint)
    return None


def _around(
    make: Callable[..., Any], path: Path, written: dict[str, Any], report: Report
) -> tuple[Callable[..., Any] | None, dict[Path, Any]]:
    """A wrapper's factory with its inner rule bound, and the hyperparameters given for both, by path.

    `of` is the inner rule's kind; or a mapping of its kind and hyperparameters, which may also be given beside `of`.
    """
    place, own = (*path, "of"), parameters(make)[0]
    of = written.get("of", inspect.signature(make).parameters["of"].default)
    inside = of if isinstance(of, dict) else {"kind": of}
    if not isinstance(inside.get("kind"), str):
        report.add(place, f"must be a rule's kind, or a mapping with its kind, not {shown(of)}")
        return None, {}
    inner = factory("rule", (*place, "kind") if inside is of else place, inside["kind"], report)
    within = {(*place, name): value for name, value in inside.items() if name != "kind"}
    if inner is not None and wraps(inside["kind"]):
        inner, within = _around(inner, place, inside, report)
    for at in within:
        name = str(at[-1])
        if name != "of" and (name in written or (name in own and name != "lr")):
            hint = "drop one" if name in written else f"it can't be given to the {inside['kind']} inside"
            report.add(at, f"{name} is also a hyperparameter of the wrapper {written['kind']}", hint=hint, key=True)
    beside = {(*path, name): value for name, value in written.items() if name not in ("kind", "of")}
    shared = {at: value for at, value in within.items() if not report.faulty(*at)}
    return None if inner is None else wrapped(make, inner), beside | shared


def takes_of(what: What, kind: str, make: Callable[..., Any]) -> tuple[Mapping[str, ValueTypes], frozenset[str], bool]:
    """The parameters of a kind that a config can give, in the form that `parameters` returns."""
    if what == "probe":
        own = parameters(make) if register.probes[kind].info.get("factory") else ({}, frozenset(), False)
        return {**own[0], EVERY: (value_types.INTEGER,)}, own[1], own[2]
    if what == "figure":
        own = parameters(make, skip=1)
        return {**own[0], NOTES: (value_types.BOOLEAN,)}, own[1], own[2]
    return parameters(make, skip=1 if what == "check" else 0)


@cache
def parameters(make: Callable[..., Any], skip: int = 0) -> tuple[Mapping[str, ValueTypes], frozenset[str], bool]:
    """A factory's parameters with their types, those without a default, and whether it accepts other keywords too."""
    try:
        found = inspect.signature(make, eval_str=True).parameters
    except (NameError, SyntaxError, TypeError, AttributeError):  # an annotation that can't be evaluated
        found = inspect.signature(make).parameters
    listed = [p for p in found.values() if p.kind is not p.VAR_POSITIONAL][skip:]
    named = {p.name: p for p in listed if p.kind is not p.VAR_KEYWORD}
    takes = {name: value_types.types_of(parameter) for name, parameter in named.items()}
    required = frozenset(name for name, parameter in named.items() if parameter.default is parameter.empty)
    return takes, required, len(named) < len(listed)


def _is_schedule(what: What, allowed: ValueTypes, value: Any) -> bool:
    """Whether a value is a schedule.

    A rule accepts a schedule for any numeric parameter. A schedule accepts another one only for a parameter that is
    annotated as a schedule.
    """
    if what not in ("rule", "schedule") or not isinstance(value, dict):
        return False
    if value_types.ANY in allowed:
        return "kind" in value
    return value_types.takes_schedule(allowed) or (what == "rule" and value_types.is_numeric(allowed))


def _give(what: What, kind: ResolvedKind, path: Path, value: Any, report: Report) -> None:
    given = str(path[-1])
    name = kind.own(given)
    allowed = kind.parameter(name) if "." not in name else None
    if allowed is None:
        word = "option" if what in ("figure", "probe", "check") else "hyperparameter"
        hint = did_you_mean(given, kind.takes) or f"it has {', '.join(sorted(kind.takes)) or 'none'}"
        report.add(path, f"the {what} {kind.kind} has no {word} {given}", hint=hint, key=True)
        kind.meant.add(nearest(given, kind.takes) or given)
    elif kind.gives(name):
        report.add(path, f"{name} is another name for it, and both are given", hint="drop one", key=True)
    elif _is_schedule(what, allowed, value):
        schedule = _schedule(path, value, report)
        if schedule is not None:
            kind.schedules[name] = schedule
        kind.meant.add(name)
    else:
        converted, wrong = value_types.validate(value, allowed)
        if not wrong and what in ("rule", "schedule"):
            error = rate_error(_below_rule(path), value)
            wrong = [((), error)] if error else []
        for place, message in wrong:
            report.add((*path, *place), message, hint=value_types.suggestion(value, allowed))
        if not wrong:
            kind.values[name] = converted
        kind.meant.add(name)


def rate_error(name: str, value: Any) -> str:
    """The error in a value of a rule's hyperparameter if it is a learning rate that is infinite or negative, else "".

    `name` may be dotted: "lr.peak" is a parameter of the schedule at `lr`.
    """
    first, dot, rest = name.partition(".")
    if not is_learning_rate(first) or not value_types.is_valid(value, (value_types.REAL,)):
        return ""
    if math.isinf(value):
        return "a learning rate must be finite"
    is_rate = not dot or rest.rpartition(".")[2] in SCHEDULE_VALUES
    return f"a learning rate must be at least 0, not {shown(value)}" if is_rate and value < 0 else ""


def _below_rule(path: Path) -> str:
    """The dotted name, such as "lr.peak", of a hyperparameter of a rule at a path; the learning rate is its first part,
    also if the rule is inside a wrapper."""
    names = [str(part) for part in path[2:]]
    return ".".join(names[next((at for at, name in enumerate(names) if is_learning_rate(name)), 0) :])


def _schedule(path: Path, value: dict[str, Any], report: Report) -> ResolvedKind | None:
    if "kind" not in value:
        hint = f"there are {', '.join(sorted(register.schedules))}"
        report.add(path, "a schedule needs a kind", hint=hint, key=True)
    elif not isinstance(value["kind"], str):
        report.add((*path, "kind"), f"must be the name of a schedule, not {shown(value['kind'])}")
    else:
        return read_kind("schedule", path, value, report)
    return None
