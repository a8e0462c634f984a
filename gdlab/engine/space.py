"""A labelled space: a product of blocks, each one axis, several that move together, or spaces one after the other."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gdlab.engine.axis_values import ABSENT, Column, SpaceError, at, column, first_places, iterable, joined
from gdlab.engine.identity import bits, identity

RUN = "run"


class Block(NamedTuple):
    """One axis, or several that move together: a column of values for each name, all of one length.

    A column is a NumPy array of numbers, or a list of other things (names, truth values, None), which can't be traced.
    `ABSENT` may stand in a list beside either: the axis is not given at that row.
    """

    names: tuple[str, ...]
    columns: tuple[Column, ...]
    label: str = ""

    @property
    def dim(self) -> str:
        """Its name as a dimension: its label, or else the names of its axes joined by an underscore."""
        return self.label or "_".join(self.names)

    @property
    def size(self) -> int:
        return len(self.columns[0])

    def row(self, index: int) -> dict[str, Any]:
        """The values at one place of the block, numbers as Python's own; without the axes that are not given there."""
        values = ((name, values[index]) for name, values in zip(self.names, self.columns, strict=True))
        return {n: v.item() if isinstance(v, np.generic) else v for n, v in values if v is not ABSENT}


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


@dataclass(frozen=True, eq=False)
class Chain:
    """Spaces one after the other; see `chain`."""

    parts: tuple[Mapping[str | tuple[str, ...], Any], ...]


Over: TypeAlias = Mapping[str | tuple[str, ...], Any] | Chain


def chain(first: Over, *more: Over) -> Chain:
    """The points of several spaces, one space after the other, each point once: at its first place.

    What a part does not name is not given there, and has its default. The dim of the points is `run`, on which each
    axis is a coordinate; axes that stand in every part with the very same values are dims of their own behind it.

    >>> parts = chain({"lr": [0.1, 0.2], "seed": 4}, {"lr": [0.1], "beta": [0.5, 0.9], "seed": 4})
    >>> [(block.dim, block.size) for block in space(parts).blocks]
    [('run', 4), ('seed', 4)]

    Raises:
        SpaceError: a part that is neither a mapping of axes nor a chain.
    """
    parts: list[Mapping[str | tuple[str, ...], Any]] = []
    for part in (first, *more):
        parts += part.parts if isinstance(part, Chain) else (_mapping(part),)
    return Chain(tuple(parts))


def space(over: Over) -> Space:
    """Read a space: `{name: values}`, a product; or a chain of such.

    Values may be any list, tuple, range or one-dimensional array; `{"seed": n}` means the seeds 0 .. n-1. Numbers (not
    truth values) make an array; an axis that holds anything else is static: each of its values is a program of its
    own. Axes that move together have a tuple of names, and their values are rows, `{("a", "b"): [(1, 2), (3, 4)]}`, or
    a space of just these names, whose points are taken in order.

    Raises:
        SpaceError: an empty axis, a name twice, an array of several dimensions, rows of unequal length, a space inside
            that has other names.
    """
    if isinstance(over, Chain):
        blocks = _chained(over)
    else:
        blocks = tuple(_block(names, values) for names, values in _mapping(over).items())
    names = [name for block in blocks for name in block.names]
    dims = [block.dim for block in blocks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SpaceError(f"the axis {twice[0]!r} is given more than once")
    for block in blocks:
        if block.label and block.dim in names:
            raise SpaceError(f"an axis of a chain can't be called {block.dim!r}: that is the dim of its points")
        if len(block.names) > 1 and (block.dim in names or dims.count(block.dim) > 1):
            raise SpaceError(f"the zipped axes {', '.join(block.names)} and an axis would both be called {block.dim!r}")
    return Space(blocks)


def _mapping(over: Any) -> Mapping[str | tuple[str, ...], Any]:
    if not isinstance(over, Mapping):
        raise SpaceError(f"a space is a mapping of axes to values, or a chain of such, not {over!r}")
    return over


def _chained(over: Chain) -> tuple[Block, ...]:
    """The blocks that all parts share, and before them one of all the rest."""
    parts = [{_key(block): block for block in space(part).blocks} for part in over.parts]
    common = set.intersection(*map(set, parts))
    rest = [Space(tuple(block for key, block in part.items() if key not in common)) for part in parts]
    shared = [_once(_of_one_type([part[key] for part in parts])) for key in parts[0] if key in common]
    names = tuple(dict.fromkeys(name for part in rest for name in part.names))
    return (_once(_points(names, rest, RUN)), *shared) if names else tuple(shared)


def _key(block: Block) -> Any:
    """What blocks of the same names and values have in common."""
    return block.names, tuple(
        # Numbers are compared as numbers: whole ones beside others become like these.
        bits(values.astype(np.float64)).tobytes() if isinstance(values, np.ndarray) else tuple(map(identity, values))
        for values in block.columns
    )


def _of_one_type(blocks: Sequence[Block]) -> Block:
    """Blocks of the same names and values as one, numbers in the type that holds those of all."""
    columns = zip(*(block.columns for block in blocks), strict=True)
    return blocks[0]._replace(
        columns=tuple(
            same[0].astype(np.result_type(*same)) if isinstance(same[0], np.ndarray) else same[0] for same in columns
        )
    )


def _once(block: Block) -> Block:
    """The block without rows that are there already further up."""
    first = first_places(block.columns)
    return block._replace(columns=tuple(at(values, first) for values in block.columns))


def _points(names: tuple[str, ...], spaces: Sequence[Space], label: str = "") -> Block:
    """All the points of some spaces, one space after the other."""
    columns: dict[str, list[Column]] = {name: [] for name in names}
    for part in spaces:
        places = np.indices(part.shape).reshape(len(part.shape), part.size)
        given = {
            name: at(values, rows)
            for block, rows in zip(part.blocks, places, strict=True)
            for name, values in zip(block.names, block.columns, strict=True)
        }
        for name, values in columns.items():
            values.append(given.get(name, [ABSENT] * part.size))
    return Block(names, tuple(joined(name, values) for name, values in columns.items()), label)


def _block(names: str | tuple[str, ...], values: Any) -> Block:
    if isinstance(names, str):
        if names == "seed" and isinstance(values, int | np.integer) and not isinstance(values, bool):
            values = np.arange(values)
        return Block((names,), (column(names, values),))
    if not names:
        raise SpaceError("zipped axes need names")
    if isinstance(values, Mapping | Chain):
        return _inside(tuple(names), values)
    rows = list(iterable(", ".join(names), values))
    for row in rows:
        if not isinstance(row, Sequence | np.ndarray) or isinstance(row, str) or len(row) != len(names):
            raise SpaceError(f"a row of the zipped axes {', '.join(names)} must hold {len(names)} values, not {row!r}")
    if not rows:
        raise SpaceError(f"the zipped axes {', '.join(names)} hold no rows")
    columns = zip(names, zip(*rows, strict=True), strict=True)
    return Block(tuple(names), tuple(column(name, values) for name, values in columns))


def _inside(names: tuple[str, ...], over: Over) -> Block:
    """The points of a space as rows of axes that move together."""
    spaces = [space(part) for part in (over.parts if isinstance(over, Chain) else (over,))]
    found = {name for part in spaces for name in part.names}
    if found != set(names):
        raise SpaceError(f"the axes {', '.join(names)} are given a space of {', '.join(sorted(found)) or 'no axes'}")
    points = _points(names, spaces)
    return _once(points) if isinstance(over, Chain) else points
