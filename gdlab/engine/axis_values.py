"""The values of one axis: numbers as an array, anything else as a list."""

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from gdlab.engine.identity import bits, identity
from gdlab.errors import UserError

Column: TypeAlias = np.ndarray | list[Any]


class SpaceError(UserError, ValueError):
    """The space can't be what was asked for."""


class Absent(enum.Enum):
    """The type of `ABSENT`, which stands where an axis is not given: what it names has its default there."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "absent"

    __str__ = __repr__


ABSENT = Absent.ABSENT


def column(name: str, values: Any) -> Column:
    """The values of the axis `name`: an array where all are numbers (not truth values), else a list.

    Numbers among which some are `ABSENT` make a list.

    Raises:
        SpaceError: no values, an array of several dimensions, a whole number of more than 32 bits, NaN.
    """
    listed = values if hasattr(values, "dtype") else list(iterable(name, values))
    if not hasattr(listed, "dtype"):
        given = [value for value in listed if value is not ABSENT]
        if not all(_is_number(value) for value in given):
            return listed
        if any(isinstance(value, int) and not -(2**31) <= value < 2**31 for value in given):
            raise SpaceError(f"the whole numbers of the axis {name!r} must fit in 32 bits")
        if given and len(given) < len(listed):
            numbers = iter(_array(name, given).tolist())
            return [ABSENT if value is ABSENT else next(numbers) for value in listed]
        listed = given
    array = _array(name, listed)
    return array if array.dtype.kind in "iuf" else array.tolist()


def iterable(name: str, values: Any) -> Iterable[Any]:
    """The values, which are refused if they are not several.

    Raises:
        SpaceError: a single value, a text, a mapping.
    """
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise SpaceError(f"the axis {name!r} needs a list or an array of values, not {values!r}")
    return values


def at(values: Column, places: np.ndarray) -> Column:
    """The values at some places."""
    return values[places] if isinstance(values, np.ndarray) else [values[place] for place in places]


def joined(name: str, columns: Sequence[Column]) -> Column:
    """Columns one after the other."""
    arrays = [part for part in columns if isinstance(part, np.ndarray)]
    if len(arrays) == len(columns):
        return np.concatenate(arrays)
    return column(name, [value for part in columns for value in plain(part)])


def plain(values: Column) -> list[Any]:
    """The values as a list, numbers as Python's own."""
    return values.tolist() if isinstance(values, np.ndarray) else values


def first_places(columns: Sequence[Column]) -> np.ndarray:
    """The rows of some columns that are not there already further up, in order."""
    codes = np.stack([_codes(values) for values in columns], axis=1)
    return np.sort(np.unique(codes, axis=0, return_index=True)[1])


def _array(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1:
        raise SpaceError(f"the axis {name!r} needs one dimension, not {array.ndim}")
    if not len(array):
        raise SpaceError(f"the axis {name!r} has no values")
    if array.dtype.kind in "iu" and (array.min() < -(2**31) or array.max() >= 2**31):
        raise SpaceError(f"the whole numbers of the axis {name!r} must fit in 32 bits")
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise SpaceError(f"the axis {name!r} holds a value that is not a number (NaN)")
    return array


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _codes(values: Column) -> np.ndarray:
    """A whole number for each value, the same for equal ones."""
    if isinstance(values, np.ndarray):
        return np.unique(bits(values), return_inverse=True)[1]
    seen: dict[Any, int] = {}
    return np.array([seen.setdefault(identity(value), len(seen)) for value in values])
