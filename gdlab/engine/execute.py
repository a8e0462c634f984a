"""Run the groups of a plan, tile by tile, and hand the results to a sink."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from gdlab.engine.plan import Group, describe
from gdlab.engine.program import Programs, Tile, arguments, programs

# Lanes in a tile unless the caller says: enough to fill the vector units, few enough that a carry of small runs stays
# in cache.
WIDTH = 4096
# What a tile's programs may hold at once before the tile is made smaller.
MEMORY = 512 * 2**20
# Calls into which a group's work is divided, so that progress shows and a tile whose lanes have all ended is left
# early.
SEGMENTS = 16
# Groups whose programs are compiled while one runs.
AHEAD = 2


class Variable(NamedTuple):
    """What is known of a result before it is computed."""

    dtype: np.dtype
    shape: tuple[int, ...]  # of one lane; a series has the records first
    series: bool


class Sink(Protocol):
    """Where results go. Tiles of a group arrive one at a time and do not overlap."""

    def begin(self, index: int, group: Group, tile: Tile, variables: Mapping[str, Variable]) -> None: ...

    def write(self, index: int, outer: slice, inner: slice, results: Mapping[str, np.ndarray]) -> None: ...


class Progress(NamedTuple):
    """How far an execution is, for whoever watches."""

    group: int
    groups: int
    label: str
    phase: str  # "compile" or "run"
    done: float  # lanes finished, over all groups; a part of a lane counts as that part
    lanes: int  # in all
    status: Mapping[str, int]  # how many lanes, so far, have each status of the process


class Timing(NamedTuple):
    """What one group took."""

    label: str
    lanes: int
    tile: Tile
    segments: int
    memory: int
    compile_seconds: float
    run_seconds: float


def execute(
    groups: Sequence[Group],
    sink: Sink,
    *,
    chunk: int | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> list[Timing]:
    """Evaluate every lane of every group.

    `chunk`: at most so many lanes in one call; by default as many as `WIDTH` and `MEMORY` allow. The last tile is
    padded with copies of its last lane, so that every call runs the same program.
    """
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk must be at least 1, not {chunk}")
    watch = _Watch(groups, progress)
    timings = []
    ready: dict[int, Programs] = {}
    for index, group in enumerate(groups):
        watch.enter(index, "compile")
        for ahead in range(index, min(index + 1 + AHEAD, len(groups))):
            if ahead not in ready:
                ready[ahead] = _programs(groups[ahead], chunk or WIDTH)
        compiled = _fit(group, ready.pop(index), chunk)
        sink.begin(index, group, compiled.tile, variables(group, compiled))
        watch.enter(index, "run")
        started = time.perf_counter()
        for outer, inner in tiles(group.shape, compiled.tile):
            results = _run_tile(group, compiled, outer, inner, watch)
            sink.write(index, outer, inner, results)
        timings.append(
            Timing(
                label=describe(group),
                lanes=group.size,
                tile=compiled.tile,
                segments=compiled.segments,
                memory=compiled.memory,
                compile_seconds=compiled.compile_seconds,
                run_seconds=time.perf_counter() - started,
            )
        )
    return timings


def tiles(shape: tuple[int, int], tile: Tile) -> Iterator[tuple[slice, slice]]:
    """The tiles that cover a group, as slices of its outer and inner lanes."""
    for o in range(0, shape[0], tile.outer):
        for i in range(0, shape[1], tile.inner):
            yield slice(o, min(o + tile.outer, shape[0])), slice(i, min(i + tile.inner, shape[1]))


def variables(group: Group, compiled: Programs) -> dict[str, Variable]:
    """The results of a group: its series first, then what it finishes with."""
    lane_dims = 2 if group.outer else 1
    blocks = compiled.blocks * compiled.segments
    named = {}
    if compiled.advance is not None:
        for name, leaf in compiled.advance.result[1].items():
            records = -(-group.process.steps // group.process.every)
            assert records <= blocks
            named[name] = Variable(_on_host(leaf.dtype), (records, *leaf.shape[lane_dims + 1 :]), True)
    for name, leaf in compiled.finish.result.items():
        named[name] = Variable(_on_host(leaf.dtype), tuple(leaf.shape[lane_dims:]), False)
    return named


def _programs(group: Group, width: int) -> Programs:
    tile = _tile(group.shape, width)
    return programs(group, tile, *_segments(group, tile))


def _fit(group: Group, compiled: Programs, chunk: int | None) -> Programs:
    """The programs, or, where the compiler says that they need too much memory, those of a narrower tile."""
    while chunk is None and compiled.memory > MEMORY and compiled.tile != (1, 1):
        lanes = compiled.tile.outer * compiled.tile.inner
        compiled = _programs(group, max(1, min(lanes // 2, lanes * MEMORY // compiled.memory)))
    return compiled


def _tile(shape: tuple[int, int], width: int) -> Tile:
    """At most `width` lanes: inner ones first, since they share the outer lane's work; in nearly equal parts."""
    outer, inner = shape
    if inner <= width:
        return Tile(_part(outer, width // inner), inner)
    return Tile(1, _part(inner, width))


def _part(size: int, most: int) -> int:
    return -(-size // -(-size // min(size, most)))


def _segments(group: Group, tile: Tile) -> tuple[int, int]:
    """(records in a segment, segments): equal parts, so that one program does for all."""
    records = -(-group.process.steps // group.process.every)
    if not records:
        return 0, 0
    calls = math.ceil(group.shape[0] / tile.outer) * math.ceil(group.shape[1] / tile.inner)
    segments = max(n for n in range(1, max(1, SEGMENTS // calls) + 1) if records % n == 0)
    return records // segments, segments


def _run_tile(group: Group, compiled: Programs, outer: slice, inner: slice, watch: "_Watch") -> dict[str, np.ndarray]:
    at = arguments(group, _padded(outer, compiled.tile.outer), _padded(inner, compiled.tile.inner))
    kept = (slice(outer.stop - outer.start), slice(inner.stop - inner.start))
    lanes = (outer.stop - outer.start) * (inner.stop - inner.start)
    cut = kept if group.outer else kept[1:]
    carry = compiled.start(*at)
    pieces: dict[str, list[np.ndarray]] = {}
    status: dict[str, int] = {}
    for segment in range(compiled.segments):
        assert compiled.advance is not None
        first = np.int32(segment * compiled.blocks * group.process.every)
        carry, record, standing = compiled.advance(*at, carry, first)
        for name, values in record.items():
            pieces.setdefault(name, []).append(np.asarray(values)[cut])
        status = {name: int(np.asarray(values)[cut].sum()) for name, values in standing.items()}
        watch.within(lanes * (segment + 1) / compiled.segments, status)
        if not status["alive"]:
            break
    named = variables(group, compiled)
    results = {name: _joined(parts, named[name], cut) for name, parts in pieces.items()}
    results |= {name: np.asarray(values)[cut] for name, values in compiled.finish(*at, carry).items()}
    watch.leave(lanes, status)
    shape = (kept[0].stop, kept[1].stop)
    return {n: np.reshape(values, (*shape, *named[n].shape)).astype(named[n].dtype) for n, values in results.items()}


def _on_host(dtype: Any) -> np.dtype:
    """The dtype of a result in NumPy: float32 for the halves that NumPy, xarray and zarr do not all know."""
    narrow = jax.numpy.issubdtype(dtype, np.floating) and dtype.itemsize < 4
    return np.dtype(np.float32) if narrow else np.dtype(dtype)


def _padded(part: slice, size: int) -> np.ndarray:
    return np.minimum(np.arange(part.start, part.start + size), part.stop - 1)


def _joined(parts: list[np.ndarray], variable: Variable, cut: tuple[slice, ...]) -> np.ndarray:
    """The records of all segments; blank (NaN, or -1) for those that were not run because every lane had ended."""
    axis = len(cut)
    series = np.concatenate(parts, axis=axis)
    missing = variable.shape[0] - series.shape[axis]
    if missing > 0:
        pad = [(0, 0)] * series.ndim
        pad[axis] = (0, missing)
        series = np.pad(series, pad, constant_values=np.nan if np.issubdtype(variable.dtype, np.inexact) else -1)
    return series


class _Watch:
    """Keeps count for the one who watches."""

    def __init__(self, groups: Sequence[Group], report: Callable[[Progress], None]) -> None:
        self._groups, self._report = groups, report
        self._lanes = sum(group.size for group in groups)
        self._done = 0.0
        self._status: dict[str, int] = {}
        self._index, self._phase = 0, "compile"

    def enter(self, index: int, phase: str) -> None:
        self._index, self._phase = index, phase
        self.within(0, {})

    def within(self, lanes: float, status: Mapping[str, int]) -> None:
        counted = {n: self._status.get(n, 0) + status.get(n, 0) for n in {**self._status, **status}}
        label = describe(self._groups[self._index])
        self._report(
            Progress(self._index, len(self._groups), label, self._phase, self._done + lanes, self._lanes, counted)
        )

    def leave(self, lanes: int, status: Mapping[str, int]) -> None:
        self._done += lanes
        self._status = {n: self._status.get(n, 0) + status.get(n, 0) for n in {**self._status, **status}}
        self.within(0, {})
