"""A kind with the values that a config gives its parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gdlab.config.node import Path
from gdlab.config.value_types import ANY, Forms


@dataclass(frozen=True)
class Chosen:
    """A kind with the values given for its parameters.

    Attributes:
        path: where it stands in the config.
        kind: its name.
        make: the factory.
        takes: each parameter's forms.
        open: whether the factory takes any other name as well.
        required: the parameters without a default.
        values: the values given that fit, as the factory is given them.
        schedules: the parameters that are a schedule instead.
        meant: the parameters that were given wrongly, or under a name near to theirs.
    """

    path: Path
    kind: str
    make: Callable[..., Any]
    takes: Mapping[str, Forms]
    open: bool
    required: frozenset[str]
    values: dict[str, Any] = field(default_factory=dict)
    schedules: dict[str, "Chosen"] = field(default_factory=dict)
    meant: set[str] = field(default_factory=set)

    def parameter(self, name: str) -> Forms | None:
        """The forms of a parameter; of "lr.peak", those of the `peak` of the schedule at `lr`. None: there is none."""
        first, dot, rest = self.own(name).partition(".")
        if dot:
            return self.schedules[first].parameter(rest) if first in self.schedules else None
        return self.takes.get(first, (ANY,) if self.open else None)

    def own(self, name: str) -> str:
        """The factory's own word for a hyperparameter: some call the lr `learning_rate`."""
        first, dot, rest = name.partition(".")
        renamed = first == "lr" and "lr" not in self.takes and "learning_rate" in self.takes
        return ("learning_rate" if renamed else first) + dot + rest

    def gives(self, name: str) -> bool:
        """Whether the config sets a parameter, to a value or to a schedule."""
        first, dot, rest = self.own(name).partition(".")
        if dot:
            return first in self.schedules and self.schedules[first].gives(rest)
        return first in self.values or first in self.schedules

    def flat(self) -> dict[str, Any]:
        """The values by name, a schedule's as "lr.peak"."""
        below = {f"{at}.{name}": v for at, schedule in self.schedules.items() for name, v in schedule.flat().items()}
        return {**self.values, **below}

    def names(self) -> frozenset[str]:
        """The hyperparameters that can be set: the factory's own, and in the place of a schedule the schedule's.

        Where `lr` stands for `learning_rate`, both are among them.
        """
        below = {f"{at}.{name}" for at, schedule in self.schedules.items() for name in schedule.names()}
        names = set(self.takes) - set(self.schedules) | below
        others = {"lr" + name.removeprefix("learning_rate") for name in names if name.startswith("learning_rate")}
        return frozenset(names | {name for name in others if self.own(name) in names})
