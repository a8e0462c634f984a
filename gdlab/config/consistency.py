"""Whether the sections of a config agree with each other."""

from typing import Any

from gdlab import register
from gdlab.config.choices import BATCH_SIZE, SEED, Axes, Choices
from gdlab.config.kinds import Chosen
from gdlab.config.node import Report
from gdlab.config.value_types import NULL, WHOLE, Forms
from gdlab.engine.space import RUN
from gdlab.errors import did_you_mean, nearest
from gdlab.training.sweep import PROBLEM, RULES, rule_of


def check_names(written: dict[str, Any], choices: Choices, report: Report) -> None:
    """Each axis must reach something, only once, and nothing that is set as well.

    What an axis in a part of a chain reaches may be set: that holds in the parts that do not name it.
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
        elif name and not reaches(name, choices) and not _hidden(name, choices, report):
            report.add(path, _unreached(name, choices), hint=_nearest_axis(name, choices), key=True)
        seen.add(name)
        places = _set(name, written, choices) if name in choices.always else []
        if places:
            verb = "are" if len(places) > 1 else "is"
            message = f"{' and '.join(places)} {verb} set, and {name} is also a sweep axis"
            report.add(path, message, hint="drop one", key=True)


def check_required(choices: Choices, report: Report) -> None:
    """A parameter without a default must be given or swept."""
    swept = choices.always
    for label, rule in choices.known_rules.items():
        own = {x for name in swept for its, x in [rule_of(choices.rules, name)] if its in (None, label)}
        _required(rule, {rule.own(name) for name in own}, report)
    if choices.problem is not None:
        _required(choices.problem, {name.removeprefix(PROBLEM) for name in swept if name.startswith(PROBLEM)}, report)
    for chosen in (*choices.figures, *choices.checks):
        if chosen is not None:
            _required(chosen, set(), report)


def check_figures(written: dict[str, Any], choices: Choices, report: Report) -> None:
    """A figure's dims must be among those of the results, and a landscape must be computed to be drawn."""
    record = written.get("record")
    names = {name for axes in (choices.axes, *choices.parts) for name, _ in axes.names}
    dims = {"rule", *names, *(axis.dim for axis in choices.axes.read), *([RUN] if choices.parts else [])}
    if not isinstance(record, dict) or record.get("every", 1) is not None:
        dims.add("step")
    for index, figure in enumerate(choices.figures):
        if figure is None or figure.kind not in register.figures:
            continue
        info = register.figures[figure.kind].info
        if info.get("of", "sweep") != "sweep":
            if written.get("landscape") is None and not report.faulty("landscape"):
                report.add(
                    ("figures", index), f"the figure {figure.kind} needs the section landscape", hint="landscape: {}"
                )
            continue
        lacking = [dim for dim in info.get("dims", ()) if dim not in dims]
        if "step" in lacking:
            message = f"the figure {figure.kind} needs a series, and record.every is null"
            report.add(("figures", index), message, hint="say how often to record: every: 1")
        elif lacking and not report.faulty("sweep"):
            message = f"the figure {figure.kind} needs the dim {' and '.join(lacking)}, which the sweep lacks"
            report.add(("figures", index), message, hint=f"it has {', '.join(sorted(dims))}")


def reaches(name: str, choices: Choices) -> list[Forms]:
    """The forms of all that an axis sets: of `seed`, `batch_size`, a parameter of the problem, or one of some rules."""
    if name == SEED:
        return [(WHOLE,)]
    if name == BATCH_SIZE:
        return [(WHOLE, NULL)]
    if name.startswith(PROBLEM):
        problem = choices.problem
        found = [problem.parameter(name.removeprefix(PROBLEM))] if problem is not None else []
    else:
        found = [rule.parameter(own) for rule, own in _rules_of(name, choices).values()]
    return [forms for forms in found if forms is not None]


def _rules_of(name: str, choices: Choices) -> dict[str, tuple[Chosen, str]]:
    """The rules that an axis may reach, by label, and its name among the hyperparameters of each."""
    label, own = rule_of(choices.rules, name)
    one = name.startswith(RULES)
    return {known: (rule, own) for known, rule in choices.known_rules.items() if known == label or not one}


def _hidden(name: str, choices: Choices, report: Report) -> bool:
    """Whether what an axis might reach is itself not known, for a mistake already told."""
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


def _unreached(name: str, choices: Choices) -> str:
    if name.startswith(PROBLEM) and choices.problem is not None:
        return f"the problem {choices.problem.kind} has no hyperparameter {name.removeprefix(PROBLEM)}"
    label, own = rule_of(choices.rules, name)
    if name.startswith(RULES):
        has = f"the rule {label} has no hyperparameter {own or 'without a name'}"
        return f"there is no rule {own}" if label is None else has
    return f"no rule has a hyperparameter {name}"


def _nearest_axis(name: str, choices: Choices) -> str:
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
        return f"{'no rule has' if label is None else 'it has not'} a schedule at {first}"
    if label is not None:
        known = sorted(rules[0].names())
        return did_you_mean(own, known, f"{RULES}{label}.") or f"it has {', '.join(known) or 'none'}"
    return did_you_mean(name, sorted({SEED, BATCH_SIZE}.union(*(rule.names() for rule in rules))))


def _set(name: str, written: dict[str, Any], choices: Choices) -> list[str]:
    """The fields that set what an axis sweeps."""
    train = written.get("train")
    if name == BATCH_SIZE:
        is_set = isinstance(train, dict) and train.get(BATCH_SIZE) is not None
        return ["train.batch_size"] if is_set else []
    if name.startswith(PROBLEM):
        problem, parameter = choices.problem, name.removeprefix(PROBLEM)
        return [name] if problem is not None and problem.gives(parameter) else []
    return [f"rules.{label}.{own}" for label, (rule, own) in _rules_of(name, choices).items() if rule.gives(own)]


def _required(chosen: Chosen, swept: set[str], report: Report, prefix: str = "") -> None:
    for name in sorted(chosen.required):
        path = (*chosen.path, name)
        if name not in chosen.meant and prefix + name not in swept:
            report.add(path, "is missing", hint=f"{chosen.kind} has no default for it", key=True)
    for at, schedule in chosen.schedules.items():
        _required(schedule, swept, report, f"{prefix}{at}.")
