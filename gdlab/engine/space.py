"""A labelled space: the product of its blocks, each one axis or several that move together."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gdlab.errors import UserError

Over = Mapping[str | tuple[str, ...], Any]


class SpaceError(UserError, ValueError):
    """The space can't be what was asked for."""


class Block(NamedTuple):
    """One axis, or several zipped: a column of values for each name, all of one length.

    A column is a NumPy array of numbers, or a list of other things (names, truth values, None), which can't be traced.
    """

    names: tuple[str, ...]
    columns: tuple[np.ndarray | list[Any], ...]

    @property
    def dim(self) -> str:
        """Its name as a dimension: the axis's own, or those of zipped axes joined by an underscore."""
        return "_".join(self.names)

    @property
    def size(self) -> int:
        return len(self.columns[0])

    def row(self, index: int) -> dict[str, Any]:
        """The values at one place of the block; numbers as Python's own."""
        values = (column[index] for column in self.columns)
        return {n: v.item() if isinstance(v, np.generic) else v for n, v in zip(self.names, values, strict=True)}


class Space(NamedTuple):
    """The product of blocks, the last one varying fastest."""

    blocks: tuple[Block, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for block in self.blocks for name in block.names)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(block.size for block in self.blocks)

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def space(over: Over) -> Space:
    """Read a space: `{name: values}`; `{("a", "b"): rows}` zips; `{"seed": n}` means the seeds 0 .. n-1.

    Values may be any list, tuple, range or one-dimensional array. Numbers (not truth values) make an array; an axis
    that holds anything else is static: each of its values is a program of its own.

    Raises:
        SpaceError: an empty axis, a name twice, an array of several dimensions, rows of unequal length.
    """
    blocks = tuple(_block(names, values) for names, values in over.items())
    names = [name for block in blocks for name in block.names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SpaceError(f"the axis {twice[0]!r} is given more than once")
    for block in blocks:
        if len(block.names) > 1 and block.dim in names:
            raise SpaceError(f"the zipped axes {', '.join(block.names)} and an axis would both be called {block.dim!r}")
    return Space(blocks)


def _block(names: str | tuple[str, ...], values: Any) -> Block:
    if isinstance(names, str):
        if names == "seed" and isinstance(values, int | np.integer) and not isinstance(values, bool):
            values = np.arange(values)
        return Block((names,), (_column(names, values),))
    rows = list(_listed(", ".join(names), values))
    for row in rows:
        if not isinstance(row, Sequence | np.ndarray) or isinstance(row, str) or len(row) != len(names):
            raise SpaceError(f"a row of the zipped axes {', '.join(names)} must hold {len(names)} values, not {row!r}")
    if not rows:
        raise SpaceError(f"the zipped axes {', '.join(names)} hold no rows")
    return Block(
        tuple(names),
        tuple(_column(name, column) for name, column in zip(names, zip(*rows, strict=True), strict=True)),
    )


def _listed(name: str, values: Any) -> Iterable[Any]:
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise SpaceError(f"the axis {name!r} needs a list or an array of values, not {values!r}")
    return values


def _column(name: str, values: Any) -> np.ndarray | list[Any]:
    listed = list(_listed(name, values)) if not hasattr(values, "dtype") else values
    if not hasattr(listed, "dtype") and not all(_is_number(value) for value in listed):
        if not listed:
            raise SpaceError(f"the axis {name!r} has no values")
        return listed
    if not hasattr(listed, "dtype") and any(isinstance(v, int) and not -(2**31) <= v < 2**31 for v in listed):
        raise SpaceError(f"the whole numbers of the axis {name!r} must fit in 32 bits")
    column = np.asarray(listed)
    if column.ndim != 1:
        raise SpaceError(f"the axis {name!r} needs one dimension, not {column.ndim}")
    if not len(column):
        raise SpaceError(f"the axis {name!r} has no values")
    if column.dtype.kind not in "iuf":
        return column.tolist()
    if column.dtype.kind in "iu" and (column.min() < -(2**31) or column.max() >= 2**31):
        raise SpaceError(f"the whole numbers of the axis {name!r} must fit in 32 bits")
    if np.isnan(column).any():
        raise SpaceError(f"the axis {name!r} holds a value that is not a number (NaN)")
    return column


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def identity(value: Any) -> Any:
    """Something hashable that is equal for equal values; True and 1 are told apart."""
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return type(value).__name__ if isinstance(value, bool) else "", value
