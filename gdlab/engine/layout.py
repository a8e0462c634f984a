"""The layout of a group: rows of runs that share work, chunks of rows, tiles of chunks.

A row holds runs with one combination of outer values (for training the seed), so work that depends only on these is
done once per row. A chunk is what one call of the compiled body evaluates: few enough runs to fit into the processor's
cache. A device evaluates its chunks one after another. The chunks of all devices form a tile: the runs that are in
memory at the same time, and one piece of the store. Nothing is timed, so a plan always has the same layout.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gdlab.engine.cost import Cost

# Bytes that the runs of a chunk may take on a CPU: about the size of a core's second-level cache.
CACHE = 2**20
# About the size of the first-level cache. A chunk stays in it if so few runs are already enough work for a step.
NEAREST = 2**16
# Operations that are enough work for one step of a chunk: with fewer, the overhead of kernel calls is considerable.
BUSY = 2.5e5
# The largest number of runs of a chunk, unless the caller sets `chunk`.
WIDEST = 4096
# Bytes of one run up to which the runs are on the last axis. On networks with full batches the time with the runs on
# the last axis, divided by the time with the runs on the first, was 0.4 at 1.4 kB, 0.65 at 4 kB, 0.9 at 8 kB and 1.2 at
# 15 kB.
SMALL = 2**13
# The smallest width for runs on the last axis, two vectors of the widest processors; with one, kernels take too long.
WIDTH_LAST = 32
# The same as BUSY for runs on the last axis, where the loops over the steps are single functions.
BUSY_LAST = BUSY / 4
# The width of a row is a multiple of this if there are enough runs: it fills the processor's vectors.
VECTOR = 8
# The intended size of a tile in bytes: carries, records of a segment, results.
MEMORY = 256 * 2**20
# The largest number of segments of a tile. Very long runs have more: one for every `LONGEST` steps.
SEGMENTS = 16
LONGEST = 2000
# The desired minimum of operations of a segment, so that the overhead of calls from Python is negligible.
WORTHWHILE = 5e9
# The intended operations of a tile of a plain function: a few seconds of work, which are lost if it is stopped.
TILE = 2e11
# A check of a run takes about this many operations for each byte of its carry.
CHECK = 1.5
# The intended share of the checks in the operations of a run, and the bounds of the number of steps between two checks.
CHECKED = 0.02
RARELY, OFTEN = 64, 4


class Layout(NamedTuple):
    """How the runs of a group are divided."""

    rows: int  # rows of a chunk
    width: int  # runs of a row
    tile: int  # runs of a tile
    blocks: int  # records of a segment
    segments: int
    check_every: int = 1  # steps between two checks of whether a run has ended (see `gdlab.engine.loop`)
    axis: str = "first"  # where the runs are in the arrays of a step: "first" or "last" (see `gdlab.engine.runs_last`)

    @property
    def chunk(self) -> int:
        """Runs of a chunk."""
        return self.rows * self.width

    @property
    def batching(self) -> str:
        """The batching mode as text."""
        if self.chunk == 1:
            return "map"
        shared = "a batch per run" if self.width == 1 else "shared batches"
        last = ", runs on the last axis" if self.axis == "last" else ""
        return f"vmap, {shared}, chunks of {self.chunk}{last}"

    def narrowed(self) -> "Layout":
        """The layout with half the runs in a chunk and in a tile."""
        if self.rows > 1:
            return self._replace(rows=self.rows // 2, tile=max(1, self.tile // 2))
        return self._replace(width=max(1, self.width // 2), tile=max(1, self.tile // 2))


def lay_out(
    counts: np.ndarray,
    cost: Cost,
    records: int,
    steps: int,
    devices: int,
    *,
    cached: bool,
    chunk: int | None = None,
    tile: int | None = None,
    axis: str | None = None,
    check_every: int | None = None,
) -> Layout:
    """The layout of a group of which `counts[i]` runs have the i-th combination of outer values.

    `chunk` and `tile` set the number of runs of a chunk and of a tile. By default a chunk has as many runs as leave
    work for every device, and at most `WIDEST`. On a CPU (`cached`) its runs also fit into `NEAREST`, or, if these
    would be too little work for a step, into `CACHE`; a run that does not fit is alone in its chunk. Runs with
    convolutions or max pooling fit into `CACHE`, or the chunk is a single run. By default a tile has as many runs as
    fit into `MEMORY`; for a process without steps also at most as many as take a few seconds.

    `axis` and `check_every` set these fields of the layout. By default the runs are on the last axis if the processor
    is a CPU, a run is at most `SMALL`, and a row has at least half of `WIDTH_LAST` runs. `check_every` is always 1 for
    a step that can't be repeated (see `Cost.repeatable`).
    """
    total = int(counts.sum())
    blocks, segments = cut(records, steps, cost.block * total * records)
    each = 3 * cost.carry + 2 * blocks * cost.record + 2 * cost.result + 64
    room = max(1, MEMORY // each)
    step = cost.block * records / max(1, steps)  # operations of one step of one run
    small = axis == "last" or (axis is None and cached and records > 0 and cost.live + cost.carry <= SMALL)
    most = chunk or _fitting(cost, step, cached, room, small)
    rows, width = _shape(counts, most, devices, exact=chunk is not None)
    held = total if total <= room else max(rows * width, 1 << (room.bit_length() - 1))
    if not records and cost.once * held > TILE:  # without segments it can stop only between tiles
        at_once = devices * rows * width
        held = min(held, max(1, int(TILE / cost.once / at_once)) * at_once)
    return Layout(
        rows=rows,
        width=width,
        tile=min(tile or held, total),
        blocks=blocks,
        segments=segments,
        check_every=_check_every(cost, step, check_every),
        axis=axis or ("last" if small and 2 * width >= WIDTH_LAST else "first"),
    )


def _check_every(cost: Cost, step: float, wanted: int | None) -> int:
    """Steps between two checks: a power of two, so that checks take about the share `CHECKED` of the operations."""
    if not cost.repeatable or not step:
        return 1
    if wanted is not None:
        return wanted
    enough = min(RARELY, max(OFTEN, CHECK * cost.carry / (CHECKED * step)))
    return 1 << (math.ceil(enough) - 1).bit_length()


def cut(records: int, steps: int, work: float) -> tuple[int, int]:
    """(records of a segment, number of segments). All segments have equal length; the end of the last may be unused."""
    if not records:
        return 0, 0
    wanted = max(min(SEGMENTS, math.ceil(work / WORTHWHILE)), steps // LONGEST, 1)
    if wanted >= records:
        return 1, records
    # The number of segments near `wanted` that leaves the fewest records idle.
    idle = {n: -(-records // n) * n - records for n in range(-(-wanted // 2), wanted + 1)}
    segments = min(idle, key=lambda n: (idle[n], -n))
    return -(-records // segments), segments


def _fitting(cost: Cost, step: float, cached: bool, room: int, small: bool) -> int:
    """Runs of a chunk; `step`: operations of one step of one run; `small`: the runs are on the last axis."""
    if cached and cost.convolved > cost.block / 2:
        return 1  # these convolutions are computed for one run after another
    fits, each = WIDEST, max(1, cost.live + cost.carry)
    if cached and cost.faster:
        # Copies of slices take most of the time. Measured: as many runs as fit into the cache are within 10 % of the
        # fastest of 1, 2, 4 and 8 runs; 8 runs that do not fit are up to 2.8 times as slow.
        return min(room, 1 << max(0, min(WIDEST, CACHE // each).bit_length() - 1))
    if cached and each > CACHE:
        # Runs side by side would compete for the cache. Measured, the time divided by the time of 8 runs side by side:
        # 0.68 for a transformer of 14 MB, 0.81 for a wide network of 4 MB, but 1.3 for a GRU of 0.4 MB.
        return 1
    if cached:
        enough = math.ceil((BUSY_LAST if small else BUSY) / step) if step else WIDEST
        fits = min(WIDEST, CACHE // each, max(NEAREST // each, enough, WIDTH_LAST if small else 0))
    return min(room, max(VECTOR, 1 << max(0, fits.bit_length() - 1)))


def _shape(counts: np.ndarray, most: int, devices: int, exact: bool) -> tuple[int, int]:
    """(rows, width) of a chunk of at most `most` runs with the least work for the busiest device."""
    longest = int(counts.max())
    if exact:
        width = min(most, longest)
        return max(1, min(most // width, rows_needed(counts, width))), width
    parts = [_aligned(-(-longest // k)) for k in range(1, 9)]
    widths = {min(width, most) for width in (*parts, *(VECTOR << k for k in range(10)), longest)}
    widths = {
        width
        for width in widths
        if width <= _aligned(longest) and (width % VECTOR == 0 or width >= longest or width == most < VECTOR)
    }
    best = (math.inf, (1, 1))
    for width in sorted(widths, reverse=True):
        rows_in_all = rows_needed(counts, width)
        rows = max(1, min(most // width, -(-rows_in_all // devices)))
        chunks = -(-rows_in_all // (devices * rows))
        # A run of a narrow chunk costs a little more.
        work = chunks * rows * width * (1 + 4 / (rows * width))
        best = min(best, (work, (rows, width)), key=lambda pair: pair[0])
    return best[1]


def _aligned(runs: int) -> int:
    return runs if runs < VECTOR else -(-runs // VECTOR) * VECTOR


def tiles(runs: int, tile: int) -> Iterator[slice]:
    """The tiles of at most `tile` runs that cover a group of `runs` runs."""
    for first in range(0, runs, tile):
        yield slice(first, min(first + tile, runs))


def rows_needed(counts: np.ndarray, width: int) -> int:
    """The number of rows for runs of which `counts[i]` have the i-th combination of outer values."""
    return int((-(-counts // width)).sum())


def arrange(outer: np.ndarray, layout: Layout, devices: int, chunks: int) -> np.ndarray:
    """The run of each slot, [devices * chunks, rows, width]; -1: the slot is empty.

    `outer[i]` is the index of the outer values of run i; runs with equal indices are adjacent. Rows are assigned to the
    devices in turn. Neighbours tend to end at the same time, so the devices keep equal shares of the live runs.
    """
    slots = np.full((devices, chunks * layout.rows, layout.width), -1)
    starts = np.flatnonzero(np.diff(outer, prepend=-1)) if len(outer) else np.zeros(0, int)
    counts = np.diff([*starts, len(outer)])
    first_row = np.cumsum([0, *(-(-counts // layout.width))])[:-1]
    rank = np.arange(len(outer)) - np.repeat(starts, counts)
    row = np.repeat(first_row, counts) + rank // layout.width
    slots[row % devices, row // devices, rank % layout.width] = np.arange(len(outer))
    return slots.reshape(devices * chunks, layout.rows, layout.width)
