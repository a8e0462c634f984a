"""From a space to groups: all the points that one compiled program can evaluate, each point once.

Numbers are traced, so they share a program. What can't be traced (names, truth values, whatever a shape or a branch
depends on) is static and splits the space, and so does whether an axis is given at all. Axes that make no difference to
a group are not multiplied out in it.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.engine.axis_values import ABSENT, SpaceError
from gdlab.engine.cost import ADVANCE, Cost, cost
from gdlab.engine.identity import bits, identity
from gdlab.engine.space import Block, Space
from gdlab.types import Point, Process

# Static values of the space in (ABSENT for an axis that is not given there), the process that evaluates the rest out.
Build = Callable[[Mapping[str, Any]], Process]
# The rows of each block of a space that a part of it has.
Part = tuple[np.ndarray, ...]


class Cover(NamedTuple):
    """Where lanes stand in the space.

    At row `rows[b][i_b]` of each block b stands lane `lanes[sum_b offsets[b][i_b]]`.
    """

    rows: tuple[np.ndarray, ...]
    offsets: tuple[np.ndarray, ...]
    lanes: np.ndarray

    def placed(self) -> np.ndarray:
        """The lane at every combination of the rows."""
        total = np.zeros((), int)
        for offsets in self.offsets:
            total = total[..., None] + offsets
        return self.lanes[total]


class Group(NamedTuple):
    """Points that one program evaluates, a lane each; lanes that share `outer` values stand together."""

    static: Mapping[str, Any]
    process: Process
    columns: Mapping[str, np.ndarray]  # what is traced: a value for each lane
    outer: tuple[str, ...]  # those of the columns on which work that lanes can share depends
    covers: tuple[Cover, ...]
    cost: Cost  # of one lane

    @property
    def size(self) -> int:
        """How many lanes there are."""
        return len(next(iter(self.columns.values()))) if self.columns else 1

    def sharing(self, lanes: np.ndarray | None = None) -> np.ndarray:
        """How many of some lanes, by default of all, have each of their outer values."""
        some = np.arange(self.size) if lanes is None else lanes
        return np.bincount(outer_index({name: self.columns[name][some] for name in self.outer}, self.outer, len(some)))


def plan(space: Space, build: Build, static: Sequence[str] = ()) -> tuple[Group, ...]:
    """The fewest groups that cover the space.

    `static` names axes of numbers that are known not to be traceable; others are found out by tracing.

    Raises:
        SpaceError: an axis that makes no difference to any group.
        TypeError: whatever the process itself raises when it is traced with all axes static.
    """
    columns = {n: c for b in space.blocks for n, c in zip(b.names, b.columns, strict=True)}
    names = {n for n, c in columns.items() if n in static or not _numeric(c)}
    sometimes = {n for n, c in columns.items() if isinstance(c, list) and any(v is ABSENT for v in c)}
    groups: dict[Any, list[_Piece]] = {}  # by what they compute
    read: set[str] = set()
    waiting = [(frozenset(names), tuple(np.arange(block.size) for block in space.blocks))]
    while waiting:
        fixed, region = waiting.pop(0)
        for part in _split(space, region, fixed, sometimes):
            values = _values(space, part, fixed, sometimes)
            process = build(values)
            read |= set(process.names)
            process, more, price = _traceable(process, values, space, part)
            if more:
                waiting.insert(0, (fixed | more, part))
            else:
                piece = _piece(space, part, values, process, price)
                groups.setdefault(piece.key, []).append(piece)
    unread = [name for name in space.names if name not in read]
    if unread:
        raise SpaceError(
            f"the axis {unread[0]!r} makes no difference: nothing here is called that. Known: {', '.join(sorted(read))}"
        )
    return tuple(_united(pieces) for pieces in groups.values())


def _numeric(column: np.ndarray | list[Any]) -> bool:
    return isinstance(column, np.ndarray) or all(
        v is ABSENT or (isinstance(v, int | float | np.number) and not isinstance(v, bool)) for v in column
    )


def _split(space: Space, region: Part, fixed: frozenset[str], sometimes: set[str]) -> list[Part]:
    """The parts of a region in each of which the fixed names have one value, and each name is given or is not."""
    parts = []
    for block, rows in zip(space.blocks, region, strict=True):
        deciding = [
            (name in fixed, column)
            for name, column in zip(block.names, block.columns, strict=True)
            if name in fixed or name in sometimes
        ]
        if not deciding:
            parts.append([rows])
            continue
        by_value: dict[Any, list[int]] = {}
        for row in rows:
            value = tuple(identity(_plain(c[row])) if whole else c[row] is ABSENT for whole, c in deciding)
            by_value.setdefault(value, []).append(row)
        parts.append([np.asarray(part) for part in by_value.values()])
    return list(itertools.product(*parts))


def _values(space: Space, part: Part, fixed: frozenset[str], sometimes: set[str]) -> dict[str, Any]:
    """The static values of a part."""
    return {
        name: _plain(column[rows[0]])
        for block, rows in zip(space.blocks, part, strict=True)
        for name, column in zip(block.names, block.columns, strict=True)
        if name in fixed or (name in sometimes and column[rows[0]] is ABSENT)
    }


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


class _Piece(NamedTuple):
    """What a part of the space adds to a group: its distinct lanes, and where they stand."""

    key: Any
    static: Mapping[str, Any]
    process: Process
    columns: dict[str, np.ndarray]
    rows: Part
    offsets: tuple[np.ndarray, ...]
    size: int
    cost: Cost


def _piece(space: Space, part: Part, values: dict[str, Any], process: Process, price: Cost) -> _Piece:
    kept = {name: value for name, value in values.items() if name in process.names}
    lanes: list[tuple[dict[str, np.ndarray], np.ndarray, int]] = []  # columns, the lane of each row, how many lanes
    outer = []
    for block, rows in zip(space.blocks, part, strict=True):
        traced = _traced(block, rows, process, values)
        first, inverse = distinct(tuple(traced.values()), len(rows))
        lanes.append(({name: column[first] for name, column in traced.items()}, inverse, len(first)))
        outer.append(bool(traced) and set(traced) <= set(process.outer))
    # Outer blocks vary slowest: lanes that share work then stand together.
    order = [*np.flatnonzero(outer), *np.flatnonzero(np.logical_not(outer))]
    strides, size = [0] * len(lanes), 1
    for index in reversed(order):
        strides[index] = size
        size *= lanes[index][2]
    columns = {
        name: np.tile(np.repeat(column, stride), size // (stride * count))
        for (own, _, count), stride in zip(lanes, strides, strict=True)
        for name, column in own.items()
    }
    offsets = tuple(inverse * stride for (_, inverse, _), stride in zip(lanes, strides, strict=True))
    key = (tuple((name, identity(value)) for name, value in sorted(kept.items())), tuple(sorted(columns)))
    return _Piece(key, kept, process, columns, part, offsets, size, price)


def _traced(block: Block, rows: np.ndarray, process: Process, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The columns of a block that the process reads and that are not static, at some of its rows."""
    return {
        name: column[rows] if isinstance(column, np.ndarray) else np.asarray([column[row] for row in rows])
        for name, column in zip(block.names, block.columns, strict=True)
        if name in process.names and name not in values
    }


def _united(pieces: Sequence[_Piece]) -> Group:
    """One group of pieces that the same program evaluates; a lane that several of them have is one lane."""
    static, process = pieces[0].static, pieces[0].process
    names = list(pieces[0].columns)
    columns = {name: np.concatenate([piece.columns[name] for piece in pieces]) for name in names}
    outer = tuple(name for name in names if name in process.outer)
    total = sum(piece.size for piece in pieces)
    lane_of = np.arange(total)
    if len(pieces) > 1:
        first, lane_of = distinct(tuple(columns.values()), total)
        columns = {name: column[first] for name, column in columns.items()}
    shared = outer_index(columns, outer, len(columns[names[0]]) if names else 1)
    if (np.diff(shared) < 0).any():
        order = np.argsort(shared, kind="stable")
        columns = {name: column[order] for name, column in columns.items()}
        lane_of = np.argsort(order)[lane_of]
    bounds = np.cumsum([0, *(piece.size for piece in pieces)])
    covers = tuple(
        Cover(piece.rows, piece.offsets, lane_of[lo:hi])
        for piece, (lo, hi) in zip(pieces, itertools.pairwise(bounds), strict=True)
    )
    return Group(static, process, columns, outer, covers, pieces[0].cost)


def outer_index(columns: Mapping[str, np.ndarray], outer: Sequence[str], size: int) -> np.ndarray:
    """For each lane the number of its combination of outer values, in the order in which they first appear."""
    return distinct(tuple(columns[name] for name in outer), size)[1]


def distinct(columns: tuple[np.ndarray, ...], size: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows at which a combination of values appears for the first time, and for each row which of them it has.

    Values are the same if their bits are, in the column's own precision: two that differ are two, even if they round to
    one in the precision that the program computes in.
    """
    if not columns:
        return np.zeros(1, int), np.zeros(size, int)
    codes = [bits(column) for column in columns]
    values = codes[0] if len(codes) == 1 else np.stack(codes, axis=1)
    _, first, inverse = np.unique(values, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return first[order], np.argsort(order)[inverse.reshape(-1)]


def _traceable(
    process: Process, values: Mapping[str, Any], space: Space, part: Part
) -> tuple[Process, frozenset[str], Cost]:
    """The process, its untraceable fixed values made constants of it; the axes it can't be traced over; its cost."""
    row = {n: v for b, rows in zip(space.blocks, part, strict=True) for n, v in b.row(rows[0]).items()}
    axes = {n: v for n, v in row.items() if n in process.names and n not in values}
    everything = {**axes, **process.fixed}
    try:
        return process, frozenset(), _cost(process, {}, everything)
    except _NOT_TRACEABLE as error:
        culprits = {name for name in axes if _fails(process, everything, {name: axes[name]})}
        constants = {n: v for n, v in process.fixed.items() if _fails(process, everything, {n: v})}
        if _fails(process, everything, {}) or not (culprits or constants):
            raise error
    baked = bake(process, constants)
    return baked, frozenset(culprits), Cost() if culprits else _cost(baked, {}, {**axes, **baked.fixed})


# What JAX raises where a tracer stands for a shape, a branch, a slice or a mask.
_NOT_TRACEABLE = (TypeError, IndexError)


def _fails(process: Process, point: Mapping[str, Any], traced: Mapping[str, Any]) -> bool:
    """Whether the process can't be traced with some values traced and the rest as they are."""
    try:
        _cost(process, point, traced)
    except _NOT_TRACEABLE:
        return True
    return False


def _cost(process: Process, point: Mapping[str, Any], traced: Mapping[str, Any]) -> Cost:
    """What one lane costs, by tracing the process once."""

    trees: list[Any] = []

    def whole(tracers: Mapping[str, Any]) -> Any:
        trees.clear()
        here = {**point, **tracers}
        carry = process.start(here)
        trees.append(jax.tree.structure(carry))
        if process.steps:

            def advance(tracers: Mapping[str, Any], carry: Any) -> Any:
                return process.advance({**point, **tracers}, carry, jnp.asarray(0, jnp.int32), 1)

            advance.__name__ = ADVANCE  # found again by this name
            carry, record = jax.jit(advance)(tracers, carry)
            trees.extend([jax.tree.structure(record), jax.make_jaxpr(process.status)(carry)])
        result = process.finish(here, carry)
        trees.append(jax.tree.structure(result))
        return result

    jaxpr = jax.make_jaxpr(whole)({name: lane_dtype(np.asarray(value)) for name, value in traced.items()})
    return cost(jaxpr, trees)


def bake(process: Process, constants: Mapping[str, Any]) -> Process:
    """The process with some of its fixed values made constants of the program."""
    if not constants:
        return process

    def at(point: Point) -> Point:
        return {**point, **constants}

    return process._replace(
        start=lambda point: process.start(at(point)),
        advance=lambda point, carry, first, blocks: process.advance(at(point), carry, first, blocks),
        finish=lambda point, carry: process.finish(at(point), carry),
        fixed={name: value for name, value in process.fixed.items() if name not in constants},
    )


def lane_dtype(column: np.ndarray) -> np.ndarray:
    """The column in the dtype that JAX computes in (float32 and int32, unless x64 is on)."""
    kind = np.float64 if column.dtype.kind == "f" else np.int64
    return column.astype(jax.dtypes.canonicalize_dtype(kind))


def describe(group: Group) -> str:
    """The static values of a group in words, for a progress bar or a message."""
    return (
        ", ".join(f"{value}" if name == "rule" else f"{name}={value}" for name, value in group.static.items())
        or "all runs"
    )


def records(process: Process) -> int:
    """How many records a run of the process leaves."""
    return math.ceil(process.steps / process.every)
