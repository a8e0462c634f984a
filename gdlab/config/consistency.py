"""Checks of the sections of a config against each other."""

import math
from typing import Any

from gdlab import register
from gdlab.config.choices import BATCH_SIZE, SEED, Axes, Choices
from gdlab.config.node import Report
from gdlab.config.resolved_kind import ResolvedKind
from gdlab.config.value_types import INTEGER, NULL, ValueTypes
from gdlab.engine.space import RUN
from gdlab.errors import did_you_mean, nearest
from gdlab.training.sweep import PROBLEM, RULES, rule_of


def check_names(written: dict[str, Any], choices: Choices, report: Report) -> None:
    """Each axis must set a parameter that exists, that no other axis sets, and that the config does not set elsewhere.

    The config may set a parameter whose axis is missing in some part of a chain; that part uses the value.
    """
    beside = {name for name, _ in choices.axes.names}
    _check_names(choices.axes, set(), written, choices, report)
    for part in choices.parts:
        _check_names(part, beside, written, choices, report)


def _check_names(axes: Axes, beside: set[str], written: dict[str, Any], choices: Choices, report: Report) -> None:
    seen = set(beside)
    for name, path in axes.names:
        if name in seen:
            report.add(path, f"{name} is an axis already", key=True)
        elif name == RUN and choices.parts:
            report.add(path, f"{RUN} is the dim of the chain's points", key=True)
        elif name and not types_set(name, choices) and not _unknown(name, choices, report):
            report.add(path, _no_such_axis(name, choices), hint=_axis_hint(name, choices), key=True)
        seen.add(name)
        given = _given(name, written, choices) if name in choices.always else []
        if given:
            verb = "are" if len(given) > 1 else "is"
            message = f"{' and '.join(given)} {verb} set, and {name} is also a sweep axis"
            report.add(path, message, hint="drop one", key=True)


def check_required(choices: Choices, report: Report) -> None:
    """A parameter without a default must be given or swept."""
    swept = choices.always
    for label, rule in choices.known_rules.items():
        own = {x for name in swept for its, x in [rule_of(choices.rules, name)] if its in (None, label)}
        _check_required(rule, {rule.own(name) for name in own}, report)
    if choices.problem is not None:
        own = {name.removeprefix(PROBLEM) for name in swept if name.startswith(PROBLEM)}
        _check_required(choices.problem, own, report)
    for kind in (*choices.figures, *choices.checks):
        if kind is not None:
            _check_required(kind, set(), report)


def _check_required(kind: ResolvedKind, swept: set[str], report: Report, prefix: str = "") -> None:
    for name in sorted(kind.required):
        if name not in kind.meant and prefix + name not in swept:
            report.add((*kind.path, name), "is missing", hint=f"{kind.kind} has no default for it", key=True)
    for at, schedule in kind.schedules.items():
        _check_required(schedule, swept, report, f"{prefix}{at}.")


def check_figures(written: dict[str, Any], choices: Choices, report: Report) -> None:
    """The sweep must have the dims that a figure needs; a figure of a landscape needs the section `landscape`."""
    record = written.get("record")
    axes = {name: (axis.dim, axis.size) for axis in choices.axes.read for name in axis.names}
    axes["rule"] = ("rule", len(choices.rules))
    points = sum(math.prod(axis.size for axis in part.read) for part in choices.parts)
    axes |= {name: (RUN, points) for part in choices.parts for axis in part.read for name in axis.names}
    dims = {
        *(dim for dim, _ in axes.values()),
        *(name for part in (choices.axes, *choices.parts) for name, _ in part.names),
    }
    if not isinstance(record, dict) or record.get("every", 1) is not None:
        dims.add("step")
    for index, figure in enumerate(choices.figures):
        if figure is None or figure.kind not in register.figures:
            continue
        path, info = ("figures", index), register.figures[figure.kind].info
        lacking = [dim for dim in info.get("dims", ()) if dim not in dims]
        if info.get("of", "sweep") != "sweep":
            if written.get("landscape") is None and not report.faulty("landscape"):
                report.add(path, f"the figure {figure.kind} needs the section landscape", hint="landscape: {}")
        elif "step" in lacking:
            message = f"the figure {figure.kind} needs a series, and record.every is null"
            report.add(path, message, hint="set how often to record: every: 1")
        elif report.faulty("sweep"):
            continue  # the axes are not known
        elif lacking:
            message = f"the figure {figure.kind} needs the dim {' and '.join(lacking)}, which the sweep lacks"
            report.add(path, message, hint=f"it has {', '.join(sorted(dims))}")
        elif "needs" in info and not report.faulty(*path):
            reason = info["needs"](axes, figure.values)
            if reason:
                report.add(path, f"the figure {figure.kind} {reason}")


def types_set(name: str, choices: Choices) -> list[ValueTypes]:
    """The types of each parameter that an axis sets: `seed`, `batch_size`, or one of the problem or of some rules."""
    if name == SEED:
        return [(INTEGER,)]
    if name == BATCH_SIZE:
        return [(INTEGER, NULL)]
    if name.startswith(PROBLEM):
        problem = choices.problem
        found = [problem.parameter(name.removeprefix(PROBLEM))] if problem is not None else []
    else:
        found = [rule.parameter(own) for rule, own in _rules_set(name, choices).values()]
    return [allowed for allowed in found if allowed is not None]


def _rules_of(name: str, choices: Choices) -> dict[str, tuple[ResolvedKind, str]]:
    """By label, the rules that an axis applies to, each with the hyperparameter's name.

    An axis `rules.LABEL.NAME` applies to the rule LABEL, an axis NAME to all rules.
    """
    label, own = rule_of(choices.rules, name)
    one = name.startswith(RULES)
    return {known: (rule, own) for known, rule in choices.known_rules.items() if known == label or not one}


def _rules_set(name: str, choices: Choices) -> dict[str, tuple[ResolvedKind, str]]:
    """The rules of `_rules_of` whose hyperparameter is not a schedule; all, if none of these has the hyperparameter.

    So an axis `lr` can set the constant rates of some rules, and an axis `lr.peak` the peaks of the other rules.
    """
    rules = _rules_of(name, choices)
    constant = {label: (rule, own) for label, (rule, own) in rules.items() if rule.own(own) not in rule.schedules}
    return constant if any(rule.parameter(own) is not None for rule, own in constant.values()) else rules


def _unknown(name: str, choices: Choices, report: Report) -> bool:
    """Whether an error that is already reported makes it unknown which parameter an axis sets."""
    if name.startswith(PROBLEM):
        return choices.problem is None
    its, own = rule_of(choices.rules, name)
    if name.startswith(RULES) and its is None:
        return not choices.rules
    first = own.partition(".")[0]
    return not choices.rules or any(
        rule is None or report.faulty("rules", label, first)
        for label, rule in choices.rules.items()
        if its in (None, label)
    )


def _no_such_axis(name: str, choices: Choices) -> str:
    if name.startswith(PROBLEM) and choices.problem is not None:
        return f"the problem {choices.problem.kind} has no hyperparameter {name.removeprefix(PROBLEM)}"
    label, own = rule_of(choices.rules, name)
    if name.startswith(RULES):
        has = f"the rule {label} has no hyperparameter {own or 'without a name'}"
        return f"there is no rule {own}" if label is None else has
    return f"no rule has a hyperparameter {name}"


def _axis_hint(name: str, choices: Choices) -> str:
    parameters = list(choices.problem.takes) if choices.problem is not None else []
    if name.startswith(PROBLEM):
        hint = did_you_mean(name.removeprefix(PROBLEM), parameters, PROBLEM)
        return hint or f"it has {', '.join(parameters) or 'none'}"
    if name in parameters:
        return f"did you mean {PROBLEM}{name}?"
    label, own = rule_of(choices.rules, name)
    rules = [rule for rule, _ in _rules_of(name, choices).values()]
    if name.startswith(RULES) and label is None:
        near = nearest(own, choices.rules)
        rest = name.removeprefix(RULES + own)
        return f"did you mean {RULES}{near}{rest}?" if near else f"there are {', '.join(choices.rules)}"
    first, dot, _ = own.partition(".")
    if dot and any(first in rule.takes and first not in rule.schedules for rule in rules):
        return f"its {first} is not a schedule" if label is not None else f"{first} is a schedule in no rule"
    if label is not None:
        known = sorted(rules[0].names())
        return did_you_mean(own, known, f"{RULES}{label}.") or f"it has {', '.join(known) or 'none'}"
    return did_you_mean(name, sorted({SEED, BATCH_SIZE}.union(*(rule.names() for rule in rules))))


def _given(name: str, written: dict[str, Any], choices: Choices) -> list[str]:
    """The fields of the config that set the parameter of an axis."""
    train = written.get("train")
    if name == BATCH_SIZE:
        is_given = isinstance(train, dict) and train.get(BATCH_SIZE) is not None
        return ["train.batch_size"] if is_given else []
    if name.startswith(PROBLEM):
        problem, parameter = choices.problem, name.removeprefix(PROBLEM)
        return [name] if problem is not None and problem.gives(parameter) else []
    return [f"rules.{label}.{own}" for label, (rule, own) in _rules_set(name, choices).items() if rule.gives(own)]
