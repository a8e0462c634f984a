"""Split a space into groups: the points that one compiled program can evaluate, each point once.

Numbers are traced, so they share a program. Values that can't be traced (strings, booleans, and numbers on which a
shape or a branch depends) are static and split the space, and so does an axis that is absent in a part of the space.
A group holds each run once, even if the space has several values of an axis that the run does not read.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.engine.axis_values import ABSENT, AxisValues, SpaceError, is_number, plain
from gdlab.engine.cost import STEP, Cost, cost
from gdlab.engine.identity import bits, identity
from gdlab.engine.space import Block, Space
from gdlab.types import Array, Point, Process

# Takes the static values of a group (`ABSENT` for an axis that is not given there); returns the process that evaluates
# its points.
Build = Callable[[Mapping[str, Any]], Process]
# The rows of each block of a space that belong to a part of it.
Part = tuple[np.ndarray, ...]


class Cover(NamedTuple):
    """Which run of a group belongs to which point of the space.

    The point at row `rows[b][i_b]` of each block b is run `runs[sum_b offsets[b][i_b]]` of the group.
    """

    rows: tuple[np.ndarray, ...]
    offsets: tuple[np.ndarray, ...]
    runs: np.ndarray

    def run_numbers(self) -> np.ndarray:
        """The run at every combination of the rows: an array with one axis for each block."""
        total = np.zeros((), int)
        for offsets in self.offsets:
            total = total[..., None] + offsets
        return self.runs[total]


class Group(NamedTuple):
    """Points that one program evaluates, one run each; runs with equal `outer` values are neighbours."""

    static: Mapping[str, Any]
    process: Process
    columns: Mapping[str, np.ndarray]  # the traced axes: a value for each run
    outer: tuple[str, ...]  # the columns that determine work which runs can share
    covers: tuple[Cover, ...]
    cost: Cost  # of one run

    @property
    def size(self) -> int:
        """The number of runs."""
        return len(next(iter(self.columns.values()))) if self.columns else 1

    def outer_counts(self, runs: np.ndarray | None = None) -> np.ndarray:
        """How many of some runs (by default all) have each combination of outer values."""
        some = np.arange(self.size) if runs is None else runs
        return np.bincount(outer_index({name: self.columns[name][some] for name in self.outer}, self.outer, len(some)))


def plan(space: Space, build: Build, static: Sequence[str] = ()) -> tuple[Group, ...]:
    """The fewest groups that cover the space.

    `static` names axes of numbers that can't be traced; axes that are not named are found by tracing.

    Raises:
        SpaceError: an axis that no group reads.
        TypeError: the error of the process itself when it is traced with all axes static.
    """
    columns = {n: c for b in space.blocks for n, c in zip(b.names, b.columns, strict=True)}
    names = {n for n, c in columns.items() if n in static or not _is_numeric(c)}
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
            f"unknown axis {unread[0]!r}: nothing has a parameter of this name; "
            f"the axes in use are {', '.join(sorted(read)) or 'none'}"
        )
    return tuple(_united(pieces) for pieces in groups.values())


def _is_numeric(column: AxisValues) -> bool:
    return isinstance(column, np.ndarray) or all(value is ABSENT or is_number(value) for value in column)


def _split(space: Space, region: Part, fixed: frozenset[str], sometimes: set[str]) -> list[Part]:
    """Split a region into parts. In each, a `fixed` axis has one value, and any axis is given everywhere or nowhere."""
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
            value = tuple(identity(plain(c[row])) if whole else c[row] is ABSENT for whole, c in deciding)
            by_value.setdefault(value, []).append(row)
        parts.append([np.asarray(part) for part in by_value.values()])
    return list(itertools.product(*parts))


def _values(space: Space, part: Part, fixed: frozenset[str], sometimes: set[str]) -> dict[str, Any]:
    """The value of each static axis in a part of the space, and `ABSENT` for each axis that is not given there."""
    return {
        name: plain(column[rows[0]])
        for block, rows in zip(space.blocks, part, strict=True)
        for name, column in zip(block.names, block.columns, strict=True)
        if name in fixed or (name in sometimes and column[rows[0]] is ABSENT)
    }


class _Piece(NamedTuple):
    """The distinct runs of a part of the space, and the points they belong to."""

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
    # For each block: the columns of its distinct rows, the index of each row among these, and their number.
    blocks: list[tuple[dict[str, np.ndarray], np.ndarray, int]] = []
    outer = []
    for block, rows in zip(space.blocks, part, strict=True):
        traced = _traced(block, rows, process, values)
        first, inverse = distinct(tuple(traced.values()), len(rows))
        blocks.append(({name: column[first] for name, column in traced.items()}, inverse, len(first)))
        outer.append(bool(traced) and set(traced) <= set(process.outer))
    # Outer blocks vary slowest, so runs that share work are neighbours.
    order = [*np.flatnonzero(outer), *np.flatnonzero(np.logical_not(outer))]
    strides, size = [0] * len(blocks), 1
    for index in reversed(order):
        strides[index] = size
        size *= blocks[index][2]
    columns = {
        name: np.tile(np.repeat(column, stride), size // (stride * count))
        for (own, _, count), stride in zip(blocks, strides, strict=True)
        for name, column in own.items()
    }
    offsets = tuple(inverse * stride for (_, inverse, _), stride in zip(blocks, strides, strict=True))
    key = (tuple((name, identity(value)) for name, value in sorted(kept.items())), tuple(sorted(columns)))
    return _Piece(key, kept, process, columns, part, offsets, size, price)


def _traced(block: Block, rows: np.ndarray, process: Process, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The columns of a block that the process reads and that are not static, at some rows."""
    return {
        name: column[rows] if isinstance(column, np.ndarray) else np.asarray([column[row] for row in rows])
        for name, column in zip(block.names, block.columns, strict=True)
        if name in process.names and name not in values
    }


def _united(pieces: Sequence[_Piece]) -> Group:
    """The group of all pieces that one program evaluates; a run that occurs in several pieces is kept once."""
    static, process = pieces[0].static, pieces[0].process
    names = list(pieces[0].columns)
    columns = {name: np.concatenate([piece.columns[name] for piece in pieces]) for name in names}
    outer = tuple(name for name in names if name in process.outer)
    total = sum(piece.size for piece in pieces)
    run_of = np.arange(total)
    if len(pieces) > 1:
        first, run_of = distinct(tuple(columns.values()), total)
        columns = {name: column[first] for name, column in columns.items()}
    shared = outer_index(columns, outer, len(columns[names[0]]) if names else 1)
    if (np.diff(shared) < 0).any():
        order = np.argsort(shared, kind="stable")
        columns = {name: column[order] for name, column in columns.items()}
        run_of = np.argsort(order)[run_of]
    bounds = np.cumsum([0, *(piece.size for piece in pieces)])
    covers = tuple(
        Cover(piece.rows, piece.offsets, run_of[lo:hi])
        for piece, (lo, hi) in zip(pieces, itertools.pairwise(bounds), strict=True)
    )
    return Group(static, process, columns, outer, covers, pieces[0].cost)


def outer_index(columns: Mapping[str, np.ndarray], outer: Sequence[str], size: int) -> np.ndarray:
    """For each run the number of its combination of outer values; combinations are numbered as they first appear."""
    return distinct(tuple(columns[name] for name in outer), size)[1]


def distinct(columns: tuple[np.ndarray, ...], size: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows at which a combination of values first appears, and for each row the number of its combination.

    Values are compared by their bits in the precision of the column, so two values that round to the same value in
    the precision of the program remain distinct.
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
    """The process with untraceable fixed values as constants, the axes over which it can't be traced, and its cost."""
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


# What JAX raises if a tracer is used as a shape, a branch, a slice or a mask.
_NOT_TRACEABLE = (TypeError, IndexError)


def _fails(process: Process, point: Mapping[str, Any], traced: Mapping[str, Any]) -> bool:
    """Whether tracing the process fails if the values of `traced` are traced and those of `point` are constants."""
    try:
        _cost(process, point, traced)
    except _NOT_TRACEABLE:
        return True
    return False


def _cost(process: Process, point: Mapping[str, Any], traced: Mapping[str, Any]) -> Cost:
    """The cost of one run, found by tracing the process once."""

    trees: list[Any] = []

    def whole(tracers: Mapping[str, Any]) -> Any:
        trees.clear()
        here = {**point, **tracers}
        carry = process.start(here)
        trees.append(jax.tree.structure(carry))
        if process.steps:

            def step(tracers: Mapping[str, Any], carry: Any, shared: Any, index: Array) -> Any:
                at = {**point, **tracers}
                after, shared, record = process.step(at, carry, shared, index)
                return process.check(at, carry, after, index)[0], dict(record), shared

            step.__name__ = STEP  # `cost` finds it by this name
            index = jnp.asarray(0, jnp.int32)
            carry, record, _ = jax.jit(step)(tracers, carry, process.begin(here, index), index)
            trees.extend([jax.tree.structure(record), jax.make_jaxpr(process.status)(carry)])
        result = process.finish(here, carry)
        trees.append(jax.tree.structure(result))
        return result

    jaxpr = jax.make_jaxpr(whole)({name: traced_dtype(np.asarray(value)) for name, value in traced.items()})
    return cost(jaxpr, trees, process.every)


def bake(process: Process, constants: Mapping[str, Any]) -> Process:
    """The process with some of its fixed values as constants of the program."""
    if not constants:
        return process

    def at(point: Point) -> Point:
        return {**point, **constants}

    return process._replace(
        start=lambda point: process.start(at(point)),
        begin=lambda point, index: process.begin(at(point), index),
        step=lambda point, *args: process.step(at(point), *args),
        check=lambda point, *args: process.check(at(point), *args),
        finish=lambda point, carry: process.finish(at(point), carry),
        fixed={name: value for name, value in process.fixed.items() if name not in constants},
    )


def traced_dtype(column: np.ndarray) -> np.ndarray:
    """The column in the dtype in which JAX computes: float32 or int32, or with x64 float64 or int64."""
    kind = np.float64 if column.dtype.kind == "f" else np.int64
    return column.astype(jax.dtypes.canonicalize_dtype(kind))


def describe(group: Group) -> str:
    """The static values of a group as text, for progress reports and messages; label axes are shown without names."""
    labels = group.process.labels
    return ", ".join(f"{v}" if name in labels else f"{name}={v}" for name, v in group.static.items()) or "all runs"


def records(process: Process) -> int:
    """The number of records of a run of the process."""
    return math.ceil(process.steps / process.every)
