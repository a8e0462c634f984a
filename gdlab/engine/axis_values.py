"""The values of one axis: an array of numbers, or a list of anything else."""

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from gdlab.engine.identity import bits, identity
from gdlab.errors import UserError

AxisValues: TypeAlias = np.ndarray | list[Any]


class SpaceError(UserError, ValueError):
    """The space is invalid."""


class Absent(enum.Enum):
    """The type of `ABSENT`: the axis has no value at this point, so the parameter it names has its default."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "absent"

    __str__ = __repr__


ABSENT = Absent.ABSENT


def axis_values(name: str, values: Any) -> AxisValues:
    """The values of the axis `name`: an array if all are numbers (not booleans), else a list.

    Numbers mixed with `ABSENT` are a list.

    Raises:
        SpaceError: no values, an array of several dimensions, an integer of more than 32 bits, NaN.
    """
    listed = values if hasattr(values, "dtype") else list(iterable(name, values))
    if not hasattr(listed, "dtype"):
        given = [value for value in listed if value is not ABSENT]
        if not all(is_number(value) for value in given):
            return listed
        if any(isinstance(value, int) and not -(2**31) <= value < 2**31 for value in given):
            raise SpaceError(f"the integers of the axis {name!r} must fit in 32 bits")
        if given and len(given) < len(listed):
            numbers = iter(_array(name, given).tolist())
            return [ABSENT if value is ABSENT else next(numbers) for value in listed]
        listed = given
    array = _array(name, listed)
    return array if array.dtype.kind in "iuf" else array.tolist()


def iterable(name: str, values: Any) -> Iterable[Any]:
    """The values, checked to be a collection.

    Raises:
        SpaceError: a single value, a string, a mapping.
    """
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise SpaceError(f"the axis {name!r} needs a list or an array of values, not {values!r}")
    return values


def is_number(value: Any) -> bool:
    """Whether a value is an integer or a float; a boolean is not."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def plain(value: Any) -> Any:
    """A NumPy scalar as the Python number; any other value unchanged."""
    return value.item() if isinstance(value, np.generic) else value


def take(values: AxisValues, indices: np.ndarray) -> AxisValues:
    """The values at some indices."""
    return values[indices] if isinstance(values, np.ndarray) else [values[index] for index in indices]


def concatenated(name: str, parts: Sequence[AxisValues]) -> AxisValues:
    """The values of several parts of one axis, one part after another."""
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if len(arrays) == len(parts):
        return np.concatenate(arrays)
    return axis_values(name, [value for part in parts for value in as_list(part)])


def as_list(values: AxisValues) -> list[Any]:
    """The values as a list of Python objects."""
    return values.tolist() if isinstance(values, np.ndarray) else values


def first_occurrences(columns: Sequence[AxisValues]) -> np.ndarray:
    """The indices of the rows of some columns that differ from every earlier row, in order."""
    return np.unique(_firsts(columns))


def repeats(columns: Sequence[AxisValues]) -> Iterator[tuple[int, int]]:
    """For each row of some columns that equals an earlier row: the index of the first such row, and its own."""
    firsts = _firsts(columns)
    again = np.flatnonzero(firsts != np.arange(len(firsts)))
    return zip(firsts[again].tolist(), again.tolist(), strict=True)


def _firsts(columns: Sequence[AxisValues]) -> np.ndarray:
    """For each row of some columns the index of the first row that is equal to it."""
    codes = np.stack([_codes(values) for values in columns], axis=1) if len(columns) > 1 else _codes(columns[0])
    _, first, inverse = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    return first[inverse.reshape(-1)]


def _array(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1:
        raise SpaceError(f"the axis {name!r} needs one dimension, not {array.ndim}")
    if not len(array):
        raise SpaceError(f"the axis {name!r} has no values")
    if array.dtype.kind in "iu" and (array.min() < -(2**31) or array.max() >= 2**31):
        raise SpaceError(f"the integers of the axis {name!r} must fit in 32 bits")
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise SpaceError(f"the axis {name!r} contains NaN")
    return array


def _codes(values: AxisValues) -> np.ndarray:
    """An integer for each value, equal for equal values."""
    if isinstance(values, np.ndarray):
        return np.unique(bits(values), return_inverse=True)[1]
    seen: dict[Any, int] = {}
    return np.array([seen.setdefault(identity(value), len(seen)) for value in values])
