"""The kinds and axes that a config gives, looked up in the register."""

from dataclasses import dataclass
from typing import Any

from gdlab import register
from gdlab.config.axis import Axis, axis_names, read_axis
from gdlab.config.errors import shown
from gdlab.config.kinds import EVERY, read_kind
from gdlab.config.merge import CHAIN
from gdlab.config.node import Path, Report
from gdlab.config.resolved_kind import ResolvedKind
from gdlab.config.schema import named

SEED, BATCH_SIZE = "seed", "batch_size"


@dataclass(frozen=True)
class Axes:
    """The axes of one mapping: the sweep, or a part of its chain.

    Attributes:
        read: the valid axes.
        names: the names of all axes, valid or not, each with the path of its key.
    """

    read: list[Axis]
    names: list[tuple[str, Path]]


@dataclass(frozen=True)
class Choices:
    """The kinds and axes of a config. None marks an invalid kind, whose error is in the report.

    Attributes:
        problem: the problem.
        rules: the rules by label.
        axes: the axes of the sweep outside its chain.
        parts: the axes of each part of the chain; each part is crossed with `axes`. Empty without a chain.
        figures: the figures in the config's order.
        probes: the probes in the config's order.
        checks: the checks in the config's order.
    """

    problem: ResolvedKind | None
    rules: dict[str, ResolvedKind | None]
    axes: Axes
    parts: list[Axes]
    figures: list[ResolvedKind | None]
    probes: list[ResolvedKind | None]
    checks: list[ResolvedKind | None]

    @property
    def known_rules(self) -> dict[str, ResolvedKind]:
        """The valid rules."""
        return {label: rule for label, rule in self.rules.items() if rule is not None}

    @property
    def all_axes(self) -> list[Axis]:
        """All valid axes."""
        return [axis for axes in (self.axes, *self.parts) for axis in axes.read]

    @property
    def products(self) -> list[list[Axis]]:
        """The valid axes of each space of the chain; without a chain, of the only space."""
        return [[*part.read, *self.axes.read] for part in self.parts] or [self.axes.read]

    @property
    def always(self) -> frozenset[str]:
        """The names of the axes that have a value at every point."""
        parts = [{name for name, _ in part.names} for part in self.parts]
        return frozenset({name for name, _ in self.axes.names}.union(set.intersection(*parts) if parts else ()))


def read_choices(written: dict[str, Any], report: Report) -> Choices:
    """Read every kind and every axis of a config. Values of the wrong type are skipped; pydantic reports them."""
    rules, sweep = _mapping(written.get("rules")), _mapping(written.get("sweep"))
    figures, checks = _list(written.get("figures")), _list(written.get("checks"))
    return Choices(
        problem=read_kind("problem", ("problem",), written.get("problem"), report),
        rules={label: read_kind("rule", ("rules", label), rule, report) for label, rule in rules.items()},
        axes=_axes(("sweep",), {key: values for key, values in sweep.items() if key != CHAIN}, report),
        parts=_chain(sweep[CHAIN], report) if CHAIN in sweep else [],
        figures=[read_kind("figure", ("figures", index), figure, report) for index, figure in enumerate(figures)],
        probes=_probes(_mapping(written.get("record")), report),
        checks=[read_kind("check", ("checks", index), check, report) for index, check in enumerate(checks)],
    )


def _axes(path: Path, written: dict[str, Any], report: Report) -> Axes:
    read = [read_axis((*path, key), values, report) for key, values in written.items()]
    names = [(name, (*path, key)) for key in written for name in axis_names(key)]
    return Axes([axis for axis in read if axis is not None], names)


def _chain(written: Any, report: Report) -> list[Axes]:
    path, parts = ("sweep", CHAIN), []
    if not isinstance(written, list) or not written:
        hint = "[{lr: [0.1, 0.2]}, {beta: [0.5, 0.9]}]"
        report.add(path, f"must be a list of mappings of axes, not {shown(written)}", hint=hint)
        return []
    for index, part in enumerate(written):
        here = (*path, index)
        if not isinstance(part, dict):
            report.add(here, f"must be a mapping of axes, not {shown(part)}")
            continue
        if CHAIN in part:
            hint = "list its parts beside this one"
            report.add((*here, CHAIN), "a chain can't contain a chain", hint=hint, key=True)
        parts.append(_axes(here, {key: values for key, values in part.items() if key != CHAIN}, report))
    return parts


def _probes(record: dict[str, Any], report: Report) -> list[ResolvedKind | None]:
    written, interval = record.get("probes"), record.get("every", 1)
    if not isinstance(written, list):
        return []
    kinds = [probe.get("kind") if isinstance(probe, dict) else probe for probe in written]
    chosen: list[ResolvedKind | None] = []
    for index, (probe, kind) in enumerate(zip(written, kinds, strict=True)):
        path = ("record", "probes", index)
        if not isinstance(kind, str):
            chosen.append(None)
        elif kind in kinds[:index]:
            report.add(path, f"{kind} is listed twice")
        elif kind == "loss" and kind not in register.probes:
            report.add(path, "the loss is always recorded", hint="drop it")
        else:
            chosen.append(read_kind("probe", path, probe, report))
            _check_every(path, named(probe), interval, report)
    if written and interval is None:
        report.add(("record", "probes"), "nothing is recorded where record.every is null", key=True)
    return chosen


def _check_every(path: Path, probe: dict[str, Any], interval: Any, report: Report) -> None:
    every = probe.get(EVERY)
    if type(every) is not int or type(interval) is not int or report.faulty(*path, EVERY):
        return  # a wrong type or an unknown kind; reported elsewhere
    if every < 1 or every % max(1, interval):
        report.add((*path, EVERY), f"must be a multiple of record.every, which is {interval}, not {every}")


def _list(written: Any) -> list[Any]:
    return written if isinstance(written, list) else []


def _mapping(written: Any) -> dict[str, Any]:
    return written if isinstance(written, dict) else {}
