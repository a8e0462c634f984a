"""From a space to groups: all the points that one compiled program can evaluate, each point once.

Numbers are traced, so they share a program. What can't be traced (names, truth values, whatever a shape or a branch
depends on) is static and splits the space. Axes that make no difference to a group are not multiplied out in it.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.engine.space import Space, SpaceError, identity
from gdlab.types import Point, Process

# static values of the space in, the process that evaluates the rest out
Build = Callable[[Mapping[str, Any]], Process]


class Lanes(NamedTuple):
    """The distinct values that one block of the space takes within a group."""

    names: tuple[str, ...]  # those that make a difference and are traced
    columns: tuple[np.ndarray, ...]
    outer: bool  # shared work depends on it: vmapped outside the others

    @property
    def size(self) -> int:
        return len(self.columns[0]) if self.columns else 1


class Group(NamedTuple):
    """Points that one program evaluates: the product of `lanes` (one for each block of the space)."""

    static: Mapping[str, Any]
    process: Process
    lanes: tuple[Lanes, ...]

    @property
    def outer(self) -> tuple[int, ...]:
        """The positions of the outer blocks."""
        return tuple(i for i, lanes in enumerate(self.lanes) if lanes.outer)

    @property
    def inner(self) -> tuple[int, ...]:
        """The positions of all other blocks."""
        return tuple(i for i, lanes in enumerate(self.lanes) if not lanes.outer)

    @property
    def shape(self) -> tuple[int, int]:
        """(outer lanes, inner lanes)."""
        return (
            math.prod(self.lanes[i].size for i in self.outer),
            math.prod(self.lanes[i].size for i in self.inner),
        )

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def values(self, blocks: Sequence[int], index: np.ndarray) -> dict[str, np.ndarray]:
        """The traced values of some blocks at flat indices into their product (the last block varies fastest)."""
        places = np.unravel_index(index, tuple(self.lanes[i].size for i in blocks)) if blocks else ()
        return {
            name: column[place]
            for i, place in zip(blocks, places, strict=True)
            for name, column in zip(self.lanes[i].names, self.lanes[i].columns, strict=True)
        }


def plan(space: Space, build: Build, static: Sequence[str] = ()) -> tuple[Group, ...]:
    """The fewest groups that cover the space.

    `static` names axes of numbers that are known not to be traceable; others are found out by tracing.

    Raises:
        SpaceError: an axis that makes no difference to any group.
        TypeError: whatever the process itself raises when it is traced with all axes static.
    """
    names = {
        n for b in space.blocks for n, c in zip(b.names, b.columns, strict=True) if n in static or isinstance(c, list)
    }
    groups: dict[Any, Group] = {}  # by what they compute: the same lanes are not run twice
    read: set[str] = set()
    waiting = [(frozenset(names), tuple(np.arange(block.size) for block in space.blocks))]
    while waiting:
        fixed, region = waiting.pop(0)
        for part in _split(space, region, fixed):
            values = {
                n: v
                for b, rows in zip(space.blocks, part, strict=True)
                for n, v in b.row(rows[0]).items()
                if n in fixed
            }
            process = build(values)
            read |= set(process.names)
            process, more = _traceable(process, values, space, part)
            if more:
                waiting.insert(0, (fixed | more, part))
            else:
                _add(groups, space, part, values, process)
    unread = [name for name in space.names if name not in read]
    if unread:
        raise SpaceError(
            f"the axis {unread[0]!r} makes no difference: nothing here is called that. Known: {', '.join(sorted(read))}"
        )
    return tuple(groups.values())


def _split(space: Space, region: tuple[np.ndarray, ...], fixed: frozenset[str]) -> list[tuple[np.ndarray, ...]]:
    """The parts of a region in each of which the fixed names have one value."""
    parts = []
    for block, rows in zip(space.blocks, region, strict=True):
        by_value: dict[Any, list[int]] = {}
        for row in rows if fixed & set(block.names) else ():
            value = tuple(identity(v) for n, v in block.row(row).items() if n in fixed)
            by_value.setdefault(value, []).append(row)
        parts.append([np.asarray(part) for part in by_value.values()] or [rows])
    return list(itertools.product(*parts))


def _add(
    groups: dict[Any, Group],
    space: Space,
    part: tuple[np.ndarray, ...],
    values: dict[str, Any],
    process: Process,
) -> None:
    kept = {name: value for name, value in values.items() if name in process.names}
    lanes = []
    for block, rows in zip(space.blocks, part, strict=True):
        traced = tuple(name for name in block.names if name in process.names and name not in values)
        columns = tuple(np.asarray(block.columns[block.names.index(name)])[rows] for name in traced)
        first = _distinct(columns)
        outer = bool(traced) and set(traced) <= set(process.outer)
        lanes.append(Lanes(traced, tuple(column[first] for column in columns), outer))
    key = (
        tuple((name, identity(value)) for name, value in sorted(kept.items())),
        tuple((lane.names, tuple(column.tobytes() for column in lane.columns)) for lane in lanes),
    )
    groups.setdefault(key, Group(kept, process, tuple(lanes)))


def _distinct(columns: tuple[np.ndarray, ...]) -> np.ndarray:
    """The rows at which a value appears for the first time, in order."""
    if not columns:
        return np.zeros(1, int)
    return np.sort(np.unique(np.stack(columns, axis=1), axis=0, return_index=True)[1])


def _traceable(
    process: Process, values: Mapping[str, Any], space: Space, part: tuple[np.ndarray, ...]
) -> tuple[Process, frozenset[str]]:
    """The process, its untraceable fixed values made constants of it, and the axes it can't be traced over."""
    row = {n: v for b, rows in zip(space.blocks, part, strict=True) for n, v in b.row(rows[0]).items()}
    axes = {n: v for n, v in row.items() if n in process.names and n not in values}
    error = _fails(process, {}, {**axes, **process.fixed})
    if error is None:
        return process, frozenset()
    culprits = {name for name in axes if _fails(process, {**axes, **process.fixed}, {name: axes[name]})}
    constants = {n: v for n, v in process.fixed.items() if _fails(process, {**axes, **process.fixed}, {n: v})}
    everything = {**axes, **process.fixed}
    if _fails(process, everything, {}) or not (culprits or constants):
        raise error
    return bake(process, constants), frozenset(culprits)


def _fails(process: Process, point: Mapping[str, Any], traced: Mapping[str, Any]) -> TypeError | IndexError | None:
    """The error met when the process is traced with some values traced and the rest as they are."""

    def whole(tracers: Mapping[str, Any]) -> Any:
        here = {**point, **tracers}
        carry = process.start(here)
        if process.steps:
            carry, _ = process.advance(here, carry, jnp.asarray(0, jnp.int32), 1)
        return process.finish(here, carry)

    try:
        jax.eval_shape(whole, {name: lane_dtype(np.asarray(value)) for name, value in traced.items()})
    except (TypeError, IndexError) as error:  # JAX, where a tracer stands for a shape, a branch, a slice or a mask
        return error
    return None


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
