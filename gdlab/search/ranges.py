"""The search space: a range of numbers or a list of options for each hyperparameter."""

from collections.abc import Mapping
from numbers import Real
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar, get_args

from gdlab.errors import UserError

Scale = Literal["log", "linear"]
# `{"lr": (1e-4, 1.0), "beta": (0.5, 0.99, "linear"), "nesterov": [True, False]}`
Ranges: TypeAlias = Mapping[str, tuple[float, float] | tuple[float, float, str] | list[Any]]
Numbers = TypeVar("Numbers")  # a float, a NumPy array or a JAX array


class SearchError(UserError, ValueError):
    """Invalid arguments of a search."""


class Range(NamedTuple):
    """The closed interval [low, high], on a linear or logarithmic scale."""

    low: float
    high: float
    scale: Scale

    def at(self, share: Numbers) -> Numbers:
        """The number at the fraction `share` of the range: `low` at 0, `high` at 1.

        If `share` is uniform on [0, 1], the number is uniform, or its logarithm is, depending on the scale.
        """
        way: Any = share
        if self.scale == "log":
            # low * (high / low) ** share is not used, because high / low may overflow in float32.
            return self.low ** (1 - way) * self.high**way
        return self.low + (self.high - self.low) * way


class Choice(NamedTuple):
    """A list of options of any type. Options are never traced: each is compiled as a separate program."""

    options: tuple[Any, ...]

    @property
    def labels(self) -> tuple[Any, ...]:
        """The options as plain values: numbers, strings, booleans and None unchanged, other objects as their names."""
        return tuple(
            option
            if option is None or isinstance(option, str | bool | int | float)
            else getattr(option, "__name__", str(option))
            for option in self.options
        )


def read(ranges: Ranges) -> dict[str, Range | Choice]:
    """Parse `ranges`: `(low, high, scale)` or `(low, high)` is a range, a list is a choice.

    The scale of `(low, high)` is logarithmic if low is above 0, else linear.

    Raises:
        SearchError: no ranges, or an invalid range; the message names it.
    """
    if not ranges:
        raise SearchError("ranges is empty: give a range for at least one hyperparameter")
    return {name: _one(name, given) for name, given in ranges.items()}


def _one(name: str, given: Any) -> Range | Choice:
    if isinstance(given, list):
        choice = Choice(tuple(given))
        if not given or len(set(choice.labels)) < len(given):
            raise SearchError(f"the choice {name!r} needs one or more options with different names, not {given}")
        return choice
    if not isinstance(given, tuple) or len(given) not in (2, 3) or not all(_is_number(end) for end in given[:2]):
        raise SearchError(f"the range {name!r} must be (low, high), (low, high, scale) or a list, not {given!r}")
    low, high = (float(end) for end in given[:2])
    scale: Any = given[2] if len(given) == 3 else "log" if low > 0 else "linear"
    if scale not in get_args(Scale):
        raise SearchError(f"the scale of the range {name!r} must be 'log' or 'linear', not {scale!r}")
    if not -float("inf") < low < high < float("inf"):
        raise SearchError(f"the range {name!r} needs finite low < high, not {low} and {high}")
    if scale == "log" and low <= 0:
        raise SearchError(f"the range {name!r} is logarithmic, so low must be above 0, not {low}")
    return Range(low, high, scale)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
