"""A kind with the values that a config gives its parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gdlab.config.node import Path
from gdlab.config.value_types import ANY, ValueTypes
from gdlab.rules.hyperparameters import own_name, with_aliases


@dataclass(frozen=True)
class ResolvedKind:
    """A registered kind with the values given for its parameters.

    Attributes:
        path: the path of its field in the config.
        kind: its name.
        make: the factory.
        takes: the types that each parameter accepts.
        open: whether the factory accepts any other name as well.
        required: the parameters without a default.
        values: the valid values given, converted to what the factory takes.
        schedules: the parameters given as a schedule.
        meant: the parameters that the config gives, including those with a wrong value or a misspelt name; none of them
            is reported as missing.
    """

    path: Path
    kind: str
    make: Callable[..., Any]
    takes: Mapping[str, ValueTypes]
    open: bool
    required: frozenset[str]
    values: dict[str, Any] = field(default_factory=dict)
    schedules: dict[str, "ResolvedKind"] = field(default_factory=dict)
    meant: set[str] = field(default_factory=set)

    def parameter(self, name: str) -> ValueTypes | None:
        """The types of a parameter, or None. The name "lr.peak" means the parameter `peak` of the schedule at `lr`."""
        first, dot, rest = self.own(name).partition(".")
        if dot:
            return self.schedules[first].parameter(rest) if first in self.schedules else None
        return self.takes.get(first, (ANY,) if self.open else None)

    def own(self, name: str) -> str:
        """The factory's name for a hyperparameter: `learning_rate` for `lr` if the factory has no `lr`."""
        return own_name(self.takes, name)

    def gives(self, name: str) -> bool:
        """Whether the config sets a parameter, to a value or to a schedule."""
        first, dot, rest = self.own(name).partition(".")
        if dot:
            return first in self.schedules and self.schedules[first].gives(rest)
        return first in self.values or first in self.schedules

    def flat(self) -> dict[str, Any]:
        """The values by name; the values of a schedule have dotted names such as "lr.peak"."""
        below = {f"{at}.{name}": v for at, schedule in self.schedules.items() for name, v in schedule.flat().items()}
        return {**self.values, **below}

    def own_names(self) -> frozenset[str]:
        """The names of the hyperparameters that can be set.

        A schedule's hyperparameters ("lr.peak") take the place of the hyperparameter that it schedules ("lr").
        """
        below = {f"{at}.{name}" for at, schedule in self.schedules.items() for name in schedule.own_names()}
        return frozenset(set(self.takes) - set(self.schedules) | below)

    def names(self) -> frozenset[str]:
        """The names of `own_names`, and also `lr` where it is an alias of `learning_rate`."""
        return with_aliases(self.own_names())
