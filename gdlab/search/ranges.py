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
    """The closed interval from `low` to `high`, on a linear or logarithmic scale."""

    low: float
    high: float
    scale: Scale

    def at(self, share: Numbers) -> Numbers:
        """The number at a fraction `share` of the range, on its scale: low at 0 and high at 1.

        Shares drawn uniformly from [0, 1] give draws that are uniform, or uniform in the logarithm.
        """
        way: Any = share
        if self.scale == "log":
            # Not low * (high / low) ** share: in float32 high / low may overflow.
            return self.low ** (1 - way) * self.high**way
        return self.low + (self.high - self.low) * way


class Choice(NamedTuple):
    """A list of options of any type. They are never traced: each has its own program."""

    options: tuple[Any, ...]

    @property
    def labels(self) -> tuple[Any, ...]:
        """The options as plain values: numbers, strings, booleans and None as they are, anything else by its name."""
        return tuple(
            option
            if option is None or isinstance(option, str | bool | int | float)
            else getattr(option, "__name__", str(option))
            for option in self.options
        )


def read(ranges: Ranges) -> dict[str, Range | Choice]:
    """`(low, high, scale)` is a range and a list is a choice.

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
