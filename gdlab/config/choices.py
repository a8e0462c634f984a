"""All that a config chooses, read against the register: its problem, rules, axes and figures."""

from dataclasses import dataclass
from typing import Any

from gdlab import register
from gdlab.config.axis import Axis, read_axis
from gdlab.config.kinds import Chosen, choose, factory
from gdlab.config.node import Report

SEED, BATCH_SIZE, PROBLEM = "seed", "batch_size", "problem."


@dataclass(frozen=True)
class Choices:
    """What was read; None stands for what could not be, and the report says why.

    Attributes:
        problem: the problem's kind.
        rules: the rules' kinds, by label.
        axes: those axes of the sweep that could be read.
        axis_names: the names of all its axes, each with the key under which it stands.
        figures: the figures' kinds, in turn.
    """

    problem: Chosen | None
    rules: dict[str, Chosen | None]
    axes: list[Axis]
    axis_names: list[tuple[str, str]]
    figures: list[Chosen | None]

    @property
    def known_rules(self) -> dict[str, Chosen]:
        """The rules that could be read."""
        return {label: rule for label, rule in self.rules.items() if rule is not None}


def read_choices(written: dict[str, Any], report: Report) -> Choices:
    """Read every kind and every axis of a config as written; whatever has not even the right form is passed over."""
    rules, sweep = _mapping(written.get("rules")), _mapping(written.get("sweep"))
    figures = written.get("figures") if isinstance(written.get("figures"), list) else []
    axes = [read_axis(key, values, report) for key, values in sweep.items()]
    choices = Choices(
        problem=choose("problem", ("problem",), written.get("problem"), report),
        rules={label: choose("rule", ("rules", label), rule, report) for label, rule in rules.items()},
        axes=[axis for axis in axes if axis is not None],
        axis_names=[(name.strip(), key) for key in sweep for name in key.split(",")],
        figures=[
            choose("figure", ("figures", index), {"kind": figure} if isinstance(figure, str) else figure, report)
            for index, figure in enumerate(figures or [])
        ],
    )
    _probes(_mapping(written.get("record")), report)
    return choices


def _probes(record: dict[str, Any], report: Report) -> None:
    probes = record.get("probes")
    if not isinstance(probes, list):
        return
    for index, name in enumerate(probes):
        path = ("record", "probes", index)
        if not isinstance(name, str):
            continue
        if name in probes[:index]:
            report.add(path, f"{name} is there already")
        elif name == "loss" and name not in register.probes:
            report.add(path, "the loss is always recorded", hint="drop it")
        else:
            factory("probe", path, name, report)
    if probes and record.get("every", 1) is None:
        report.add(("record", "probes"), "nothing is recorded where record.every is null", key=True)


def _mapping(written: Any) -> dict[str, Any]:
    return written if isinstance(written, dict) else {}
