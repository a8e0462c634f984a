"""What a config chooses by `kind`: the factory, its parameters, and whether the values given fit them."""

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal

# Imported for their entries in the register.
import gdlab.problems
import gdlab.rules
import gdlab.schedules
import gdlab.training.probes  # noqa: F401
from gdlab import register
from gdlab.config import value_types as forms
from gdlab.config.annotations import forms_of
from gdlab.config.errors import shown
from gdlab.config.node import Path, Report
from gdlab.config.resolved_kind import Chosen
from gdlab.config.schema import named
from gdlab.config.value_types import Forms
from gdlab.errors import did_you_mean, nearest
from gdlab.rules import wrapping
from gdlab.rules.wrapping import OPTAX

# How often a probe measures; any has it.
EVERY = "every"

What = Literal["rule", "schedule", "problem", "probe", "figure", "check"]
SHELVES: dict[What, dict[str, register.Entry]] = {
    "rule": register.rules,
    "schedule": register.schedules,
    "problem": register.problems,
    "probe": register.probes,
    "figure": register.figures,
    "check": register.checks,
}


def choose(what: What, path: Path, written: Any, report: Report) -> Chosen | None:
    """Read `{kind: ..., parameter: value}`; mistakes go to the report. None where the kind itself is unknown.

    That a required parameter is missing is not a mistake here: the sweep may give it.
    """
    at, written = (
        (path, named(written))
        if what in ("probe", "check") and isinstance(written, str)
        else ((*path, "kind"), written)
    )
    if not isinstance(written, dict) or not isinstance(written.get("kind"), str):
        return None  # a mistake of form, reported with the others of that sort
    make = factory(what, at, written["kind"], report)
    given = {(*path, name): value for name, value in written.items() if name != "kind"}
    if what == "rule" and make is not None and wraps(written["kind"]):
        make, given = _around(make, path, written, report)
    if make is None:
        return None
    takes, required, is_open = takes_of(what, written["kind"], make)
    chosen = Chosen(path, written["kind"], make, takes, is_open, required)
    for place, value in given.items():
        _give(what, chosen, place, value, report)
    return chosen


bound = cache(wrapping.around)  # the same two are the same factory, and its parameters are read once


def wraps(kind: str) -> bool:
    """Whether a rule is one around another, which its parameter `of` names."""
    return kind in register.rules and bool(register.rules[kind].info.get("wraps"))


def factory(what: What, path: Path, kind: str, report: Report) -> Callable[..., Any] | None:
    """What is registered under a kind; None, and a mistake, where nothing is."""
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
    # Where a file of `code` failed, what it would have registered is unknown, and the failure has been told.
    if not report.faulty("code"):
        hint = did_you_mean(kind, shelf) or f"there are {', '.join(sorted(shelf))}"
        report.add(path, f"there is no {what} {kind!r}", hint=hint)
    return None


def _around(
    make: Callable[..., Any], path: Path, written: dict[str, Any], report: Report
) -> tuple[Callable[..., Any] | None, dict[Path, Any]]:
    """A rule with the one in it, which takes the hyperparameters of both; and those given, by the place of each.

    `of` is the inner rule's kind; or a mapping of its kind and hyperparameters, each of which might stand beside `of`.
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
            report.add(at, f"{name} is a hyperparameter of the {written['kind']} around it too", hint=hint, key=True)
    beside = {(*path, name): value for name, value in written.items() if name not in ("kind", "of")}
    shared = {at: value for at, value in within.items() if not report.faulty(*at)}
    return None if inner is None else bound(make, inner), beside | shared


def takes_of(what: What, kind: str, make: Callable[..., Any]) -> tuple[Mapping[str, Forms], frozenset[str], bool]:
    """What a config can give something of this kind; see `parameters`."""
    if what == "probe":
        own = parameters(make) if register.probes[kind].info.get("factory") else ({}, frozenset(), False)
        return {**own[0], EVERY: (forms.WHOLE,)}, own[1], own[2]
    return parameters(make, skip=1 if what in ("figure", "check") else 0)


@cache
def parameters(make: Callable[..., Any], skip: int = 0) -> tuple[Mapping[str, Forms], frozenset[str], bool]:
    """A factory's parameters with their forms, those without a default, and whether it takes other names too."""
    try:
        found = inspect.signature(make, eval_str=True).parameters
    except (NameError, SyntaxError, TypeError, AttributeError):  # an annotation that can't be read tells nothing
        found = inspect.signature(make).parameters
    listed = [p for p in found.values() if p.kind is not p.VAR_POSITIONAL][skip:]
    named = {p.name: p for p in listed if p.kind is not p.VAR_KEYWORD}
    takes = {name: forms_of(parameter) for name, parameter in named.items()}
    required = frozenset(name for name, parameter in named.items() if parameter.default is parameter.empty)
    return takes, required, len(named) < len(listed)


def _is_schedule(what: What, allowed: Forms, value: Any) -> bool:
    """Whether a value stands for a function of the step: a rule takes one for any number, a schedule if it says so."""
    if what not in ("rule", "schedule") or not isinstance(value, dict):
        return False
    if forms.ANY in allowed:
        return "kind" in value
    return forms.takes_schedule(allowed) or (what == "rule" and forms.is_numeric(allowed))


def _give(what: What, chosen: Chosen, path: Path, value: Any, report: Report) -> None:
    given = str(path[-1])
    name = chosen.own(given)
    allowed = chosen.parameter(name) if "." not in name else None
    if allowed is None:
        word = "option" if what in ("figure", "probe", "check") else "hyperparameter"
        hint = did_you_mean(given, chosen.takes) or f"it has {', '.join(sorted(chosen.takes)) or 'none'}"
        report.add(path, f"the {what} {chosen.kind} has no {word} {given}", hint=hint, key=True)
        chosen.meant.add(nearest(given, chosen.takes) or given)
    elif chosen.gives(name):
        report.add(path, f"{name} is another name for it, and both are given", hint="drop one", key=True)
    elif _is_schedule(what, allowed, value):
        schedule = _schedule(path, value, report)
        if schedule is not None:
            chosen.schedules[name] = schedule
        chosen.meant.add(name)
    else:
        wrong = forms.misfits(value, allowed)
        for place, message in wrong:
            report.add((*path, *place), message, hint=forms.suggestion(value, allowed))
        if not wrong:
            chosen.values[name] = forms.made(value, allowed)
        chosen.meant.add(name)


def _schedule(path: Path, value: dict[str, Any], report: Report) -> Chosen | None:
    if "kind" not in value:
        hint = f"there are {', '.join(sorted(register.schedules))}"
        report.add(path, "a schedule needs a kind", hint=hint, key=True)
    elif not isinstance(value["kind"], str):
        report.add((*path, "kind"), f"must be the name of a schedule, not {shown(value['kind'])}")
    else:
        return choose("schedule", path, value, report)
    return None
