"""A labelled space: a product of blocks, each one axis or several zipped axes; or a chain of such products."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gdlab.engine.axis_values import (
    ABSENT,
    AxisValues,
    SpaceError,
    as_list,
    axis_values,
    concatenated,
    first_occurrences,
    iterable,
    plain,
    repeats,
    take,
)
from gdlab.engine.identity import bits, identity

RUN = "run"


class Block(NamedTuple):
    """One axis, or several zipped axes: a column of values for each name, all of one length.

    A column is a NumPy array of numbers, or a list of other values (strings, booleans, None), which can't be traced.
    A list may also hold `ABSENT`: the axis is not given at that row.
    """

    names: tuple[str, ...]
    columns: tuple[AxisValues, ...]
    label: str = ""

    @property
    def dim(self) -> str:
        """The name of its dimension: the label, or else the names of its axes joined by an underscore."""
        return self.label or "_".join(self.names)

    @property
    def size(self) -> int:
        return len(self.columns[0])

    def row(self, index: int) -> dict[str, Any]:
        """The values at one row, numbers as Python numbers; without the axes that are absent there."""
        values = ((name, values[index]) for name, values in zip(self.names, self.columns, strict=True))
        return {name: plain(value) for name, value in values if value is not ABSENT}


class Space(NamedTuple):
    """The product of blocks; the last block varies fastest."""

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


@dataclass(frozen=True, eq=False)
class Chain:
    """Several spaces, one after another; see `chain`."""

    parts: tuple[Mapping[str | tuple[str, ...], Any], ...]


Over: TypeAlias = Mapping[str | tuple[str, ...], Any] | Chain


def chain(first: Over, *more: Over) -> Chain:
    """The points of several spaces, one space after another. A point that occurs twice is kept at its first place.

    In a part that does not name a parameter, the parameter has its default value. The points form the dim `run`, with a
    coordinate for each axis; axes with the same values in every part become separate dims after it.

    >>> parts = chain({"lr": [0.1, 0.2], "b": [1, 2]}, {"lr": [0.1], "beta": [0.5, 0.9], "b": [1, 2]})
    >>> [(block.dim, block.size) for block in space(parts).blocks]
    [('run', 4), ('b', 2)]

    Raises:
        SpaceError: a part that is neither a mapping of axes nor a chain.
    """
    parts: list[Mapping[str | tuple[str, ...], Any]] = []
    for part in (first, *more):
        parts += part.parts if isinstance(part, Chain) else (_mapping(part),)
    return Chain(tuple(parts))


def space(over: Over, counts: Collection[str] = ()) -> Space:
    """Read a space: `{name: values}`, which is a product, or a chain of such mappings.

    Values are any list, tuple, range or one-dimensional array. Numbers (not booleans) become an array; an axis that
    holds anything else is static: each of its values needs a separate program. Zipped axes have a tuple of names;
    their values are rows, `{("a", "b"): [(1, 2), (3, 4)]}`, or a space of these names, whose points are the rows.

    Args:
        counts: names of axes whose values may be given as a count n, which means 0, 1, ..., n - 1.

    Raises:
        SpaceError: an empty axis, a name given twice, an array of several dimensions, rows of unequal length, a zipped
            space with other names.
    """
    if isinstance(over, Chain):
        blocks = _chained(over, counts)
    else:
        blocks = tuple(_block(names, values, counts) for names, values in _mapping(over).items())
    names = [name for block in blocks for name in block.names]
    dims = [block.dim for block in blocks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SpaceError(f"the axis {twice[0]!r} is given more than once")
    for block in blocks:
        if block.label and block.dim in names:
            raise SpaceError(f"an axis of a chain can't be named {block.dim!r}: that is the dim of its points")
        if len(block.names) > 1 and (block.dim in names or dims.count(block.dim) > 1):
            raise SpaceError(f"the zipped axes {', '.join(block.names)} and another axis share the dim {block.dim!r}")
    return Space(blocks)


def integer_axes(points: Space) -> set[str]:
    """The names of the axes all of whose values are integers, wherever they are given."""
    return {
        name
        for block in points.blocks
        for name, values in zip(block.names, block.columns, strict=True)
        if all(isinstance(v, int) and not isinstance(v, bool) for v in as_list(values) if v is not ABSENT)
    }


def refuse_repeats(points: Space) -> None:
    """Refuse a value that is twice on an axis, or a row that is twice on zipped axes.

    Values are compared as in `gdlab.engine.identity.identity`: True differs from 1, and 0.0 from -0.0. In a list of
    numbers that holds a float, 1 is 1.0.

    Raises:
        SpaceError: the message names the axes, the value and both positions, counted from 0.
    """
    for block in points.blocks:
        for first, again in repeats(block.columns):
            row = tuple(block.row(first).values())
            zipped = f"zipped axes {', '.join(block.names)} have"
            axes = f"axis {block.names[0]!r} has" if len(row) == 1 else zipped
            value = row[0] if len(row) == 1 else row
            raise SpaceError(f"the {axes} {value!r} twice, at positions {first} and {again}: drop one")


def _mapping(over: Any) -> Mapping[str | tuple[str, ...], Any]:
    if not isinstance(over, Mapping):
        raise SpaceError(f"a space must be a mapping from axes to values, or a chain of such mappings, not {over!r}")
    return over


def _chained(over: Chain, counts: Collection[str]) -> tuple[Block, ...]:
    """A block of the points of the axes that differ between parts, followed by the blocks that all parts share."""
    parts = [{_key(block): block for block in space(part, counts).blocks} for part in over.parts]
    common = set.intersection(*map(set, parts))
    rest = [Space(tuple(block for key, block in part.items() if key not in common)) for part in parts]
    shared = [_unique(_promoted([part[key] for part in parts])) for key in parts[0] if key in common]
    names = tuple(dict.fromkeys(name for part in rest for name in part.names))
    return (_unique(_points(names, rest, RUN)), *shared) if names else tuple(shared)


def _key(block: Block) -> Any:
    """A hashable key, equal for blocks of the same names and values."""
    return block.names, tuple(
        # Integers are compared as floats: an axis that holds both is an axis of floats.
        bits(values.astype(np.float64)).tobytes() if isinstance(values, np.ndarray) else tuple(map(identity, values))
        for values in block.columns
    )


def _promoted(blocks: Sequence[Block]) -> Block:
    """One block in place of several of the same names and values, with numbers in their common type."""
    columns = zip(*(block.columns for block in blocks), strict=True)
    return blocks[0]._replace(
        columns=tuple(
            same[0].astype(np.result_type(*same)) if isinstance(same[0], np.ndarray) else same[0] for same in columns
        )
    )


def _unique(block: Block) -> Block:
    """The block without rows that repeat an earlier one."""
    first = first_occurrences(block.columns)
    return block._replace(columns=tuple(take(values, first) for values in block.columns))


def _points(names: tuple[str, ...], spaces: Sequence[Space], label: str = "") -> Block:
    """All points of some spaces, one space after another."""
    columns: dict[str, list[AxisValues]] = {name: [] for name in names}
    for part in spaces:
        indices = np.indices(part.shape).reshape(len(part.shape), part.size)
        given = {
            name: take(values, rows)
            for block, rows in zip(part.blocks, indices, strict=True)
            for name, values in zip(block.names, block.columns, strict=True)
        }
        for name, values in columns.items():
            values.append(given.get(name, [ABSENT] * part.size))
    return Block(names, tuple(concatenated(name, values) for name, values in columns.items()), label)


def _block(names: str | tuple[str, ...], values: Any, counts: Collection[str]) -> Block:
    if isinstance(names, str):
        if names in counts and isinstance(values, int | np.integer) and not isinstance(values, bool):
            values = np.arange(values)
        return Block((names,), (axis_values(names, values),))
    if not names:
        raise SpaceError("zipped axes need names")
    if isinstance(values, Mapping | Chain):
        return _zipped_space(tuple(names), values, counts)
    rows = list(iterable(", ".join(names), values))
    for row in rows:
        if not isinstance(row, Sequence | np.ndarray) or isinstance(row, str) or len(row) != len(names):
            raise SpaceError(f"a row of the zipped axes {', '.join(names)} must hold {len(names)} values, not {row!r}")
    if not rows:
        raise SpaceError(f"the zipped axes {', '.join(names)} have no rows")
    columns = zip(names, zip(*rows, strict=True), strict=True)
    return Block(tuple(names), tuple(axis_values(name, values) for name, values in columns))


def _zipped_space(names: tuple[str, ...], over: Over, counts: Collection[str]) -> Block:
    """The points of a space as the rows of zipped axes."""
    spaces = [space(part, counts) for part in (over.parts if isinstance(over, Chain) else (over,))]
    found = {name for part in spaces for name in part.names}
    if found != set(names):
        wrong = ", ".join(sorted(found)) or "no axes"
        axes = ", ".join(names)
        raise SpaceError(f"the space for the zipped axes {axes} must have exactly these axes, but it has {wrong}")
    points = _points(names, spaces)
    return _unique(points) if isinstance(over, Chain) else points
