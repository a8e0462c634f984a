"""From a `Config` to what the Python interface takes."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import jax

from gdlab import register
from gdlab.config.axis import Axis
from gdlab.config.choices import Choices, read_choices
from gdlab.config.dump import plain
from gdlab.config.errors import ConfigError, Mark
from gdlab.config.kinds import EVERY, Chosen
from gdlab.config.node import Node, Report
from gdlab.config.schema import Config
from gdlab.config.values import taken
from gdlab.engine.space import Over, chain
from gdlab.training.probes import every, probe_of
from gdlab.types import Probe, Problem, Rule, Stop


def problem_factory(config: Config) -> Callable[..., Problem]:
    """The problem's factory, with the hyperparameters that the config gives bound as keywords."""
    problem = _choices(config).problem
    assert problem is not None  # or the choices had been refused
    return partial(problem.make, **problem.values)


def rule_factories(config: Config) -> dict[str, Callable[..., Rule]]:
    """By label: each rule's factory, with the hyperparameters that the config gives bound as keywords.

    Where one is a schedule, its own hyperparameters go by dotted names, given like the rest and as free to be
    overridden: `factory(**{"lr.peak": 0.3, "beta": 0.9})`. The factory's `hyperparameters` are the names it takes.
    """
    return {label: _factory(rule) for label, rule in _choices(config).known_rules.items()}


def over(config: Config) -> Over:
    """The space of the sweep, as `gdlab.sweep` takes it.

    Its axes, in order: name to values; a tuple of names to rows; `seed` to their count or a list. Where the sweep has a
    chain, a chain of such spaces, each part with the other axes behind its own.
    """
    choices = _choices(config)
    spaces = [_mapping(axes, choices) for axes in choices.products]
    return chain(*spaces) if choices.parts else spaces[0]


def _mapping(axes: list[Axis], choices: Choices) -> dict[str | tuple[str, ...], Any]:
    mapping: dict[str | tuple[str, ...], Any] = {}
    for axis in axes:
        columns = [taken(name, values, choices) for name, values in zip(axis.names, axis.columns, strict=True)]
        if len(columns) > 1:
            mapping[axis.names] = list(zip(*columns, strict=True))
        else:
            mapping[axis.names[0]] = columns[0] if axis.seeds is None else axis.seeds
    return mapping


def probes(config: Config) -> dict[str, Probe]:
    """The probes that the config asks for, by name."""
    return {chosen.kind: _probe(chosen) for chosen in _choices(config).probes if chosen is not None}


def _probe(chosen: Chosen) -> Probe:
    options = dict(chosen.values)
    interval = options.pop(EVERY, 1)
    probe = probe_of(register.probes[chosen.kind], **options)
    return probe if interval == 1 else every(probe, interval)


def stop(config: Config) -> Stop:
    """When a run ends early."""
    return Stop(**config.train.stop.model_dump())


@contextlib.contextmanager
def precision(config: Config) -> Iterator[None]:
    """The float precision that a config asks for, while the block runs."""
    with jax.enable_x64(config.precision == "float64"):
        yield


class Scheduled:
    """A rule factory some of whose hyperparameters are schedules with hyperparameters of their own.

    Attributes:
        hyperparameters: the names that it takes; a schedule's are "lr.peak".
    """

    def __init__(self, rule: Chosen, given: Mapping[str, Any]) -> None:
        self.hyperparameters = rule.names()
        self._rule = rule
        self._given = given

    def __call__(self, **values: Any) -> Rule:
        from gdlab.rules.scheduled import schedulable

        values = {self._rule.own(name): value for name, value in values.items()}
        own, schedules = _built(self._rule, {**self._given, **values})
        return schedulable(self._rule.make)(**own, **schedules)


def _built(chosen: Chosen, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the factory is given of `values`, and the schedules made of those with dotted names."""
    schedules = {}
    for at, schedule in chosen.schedules.items():
        below = {name.removeprefix(f"{at}."): value for name, value in values.items() if name.startswith(f"{at}.")}
        own, inner = _built(schedule, below)
        schedules[at] = schedule.make(**own, **inner)
    return {name: value for name, value in values.items() if "." not in name}, schedules


def _factory(rule: Chosen) -> Callable[..., Rule]:
    if not rule.schedules:
        return partial(rule.make, **rule.values)
    # Only the numbers are bound in the partial: they are what a sweep unwraps it for, and then the rest must still say
    # in `hyperparameters` what it takes.
    numbers = {name: value for name, value in rule.flat().items() if isinstance(value, float)}
    factory = partial(Scheduled(rule, {n: v for n, v in rule.flat().items() if n not in numbers}), **numbers)
    factory.hyperparameters = factory.func.hyperparameters  # type: ignore[attr-defined]
    return factory


def _choices(config: Config) -> Choices:
    report = Report(Node({}, Mark(config.name)))
    choices = read_choices(plain(config), report)
    if report.mistakes:
        raise ConfigError(report.mistakes)
    return choices
