"""A checked config with the factories, the space and the stop rule that the Python interface takes."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax

from gdlab import register
from gdlab.config.axis import Axis
from gdlab.config.choices import Choices
from gdlab.config.errors import COMMAND_LINE, ConfigError, Mark, Mistake, dotted
from gdlab.config.kinds import EVERY
from gdlab.config.node import Node
from gdlab.config.resolved_kind import ResolvedKind
from gdlab.config.schema import Config, Kind
from gdlab.config.values import converted_axis
from gdlab.engine.space import Over, chain
from gdlab.training.probes import every, probe_of
from gdlab.types import Probe, Problem, Rule, Stop


@dataclass(frozen=True)
class Resolved:
    """A config with everything that it names looked up and bound; `gdlab.config.load` makes it.

    Attributes:
        config: the sections of the config, checked, with their defaults.
        problem: the problem's factory; the hyperparameters that the config gives are bound as keywords.
        rules: each rule's factory by label, bound in the same way. The hyperparameters of a schedule have dotted names:
            `gdlab.rules.hyperparameters.call(rules["adam"], {"lr.peak": 0.3, "b1": 0.9})`.
        over: the space of the sweep, as `gdlab.sweep` takes it: a mapping from axis names (`seed` too) to values, and
            from tuples of names to rows. With a `chain`, the chain of such spaces, each with the axes of its
            part first and then the other axes.
        probes: the probes by name.
        stop: when a run ends early.
        source: the config as written, each value with its position in its file.
    """

    config: Config
    problem: Callable[..., Problem]
    rules: Mapping[str, Callable[..., Rule]]
    over: Over
    probes: Mapping[str, Probe]
    stop: Stop
    source: Node

    def precision(self) -> AbstractContextManager[Any]:
        """A context in which JAX computes in the config's precision."""
        return jax.enable_x64(self.config.precision == "float64")

    def mark(self, *path: str | int) -> Mark:
        """The position of the field at `path`, or of the nearest field above it that the config gives."""
        return self.source.at(path).mark

    def position(self, *path: str | int) -> str:
        """The position of a field as text: "x.yaml:12:5"."""
        return str(self.mark(*path))

    def error(self, path: tuple[str | int, ...], message: str, hint: str = "") -> ConfigError:
        """An error in the field at `path`, with its file, line and column."""
        return ConfigError([Mistake(message, self.mark(*path), dotted(path), hint)])

    def with_figures(self, kinds: list[str]) -> "Resolved":
        """A copy with figures of these kinds, without options, in place of the config's figures."""
        mark = Mark(COMMAND_LINE)
        config = self.config.model_copy(update={"figures": [Kind(kind=kind) for kind in kinds]})
        figures = Node([Node(kind, mark) for kind in kinds], mark)
        source = replace(self.source, value={**self.source.value, "figures": figures})
        return replace(self, config=config, source=source)


def resolve(config: Config, choices: Choices, source: Node) -> Resolved:
    """Bind the kinds and axes of a config; the choices must be free of errors."""
    assert choices.problem is not None
    spaces = [_space(axes, choices) for axes in choices.products]
    return Resolved(
        config,
        problem=partial(choices.problem.make, **choices.problem.values),
        rules={label: _rule_factory(rule) for label, rule in choices.known_rules.items()},
        over=chain(*spaces) if choices.parts else spaces[0],
        probes={probe.kind: _probe(probe) for probe in choices.probes if probe is not None},
        stop=Stop(**config.train.stop.model_dump()),
        source=source,
    )


def _space(axes: list[Axis], choices: Choices) -> dict[str | tuple[str, ...], Any]:
    space: dict[str | tuple[str, ...], Any] = {}
    for axis in axes:
        columns = [converted_axis(name, values, choices) for name, values in zip(axis.names, axis.columns, strict=True)]
        if len(columns) > 1:
            space[axis.names] = list(zip(*columns, strict=True))
        else:
            space[axis.names[0]] = columns[0] if axis.seeds is None else list(range(axis.seeds))
    return space


def _probe(chosen: ResolvedKind) -> Probe:
    options = dict(chosen.values)
    interval = options.pop(EVERY, 1)
    probe = probe_of(register.probes[chosen.kind], **options)
    return probe if interval == 1 else every(probe, interval)


def _rule_factory(rule: ResolvedKind) -> Callable[..., Rule]:
    return partial(ScheduledFactory(rule) if rule.schedules else rule.make, **rule.flat())


class ScheduledFactory:
    """A rule factory with schedules for some hyperparameters; it also takes the hyperparameters of the schedules.

    Attributes:
        hyperparameters: the names that it takes; those of a schedule at `lr` are "lr.peak" and so on.
    """

    def __init__(self, rule: ResolvedKind) -> None:
        self.hyperparameters = rule.own_names()
        self._rule = rule

    def __call__(self, **values: Any) -> Rule:
        from gdlab.rules.scheduled import schedulable

        return schedulable(self._rule.make)(**_with_schedules(self._rule, values))


def _with_schedules(chosen: ResolvedKind, values: Mapping[str, Any]) -> dict[str, Any]:
    """The factory's arguments: values with dotted names become the hyperparameters of its schedules."""
    arguments = {name: value for name, value in values.items() if "." not in name}
    for at, schedule in chosen.schedules.items():
        below = {name.removeprefix(f"{at}."): value for name, value in values.items() if name.startswith(f"{at}.")}
        arguments[at] = schedule.make(**_with_schedules(schedule, below))
    return arguments
