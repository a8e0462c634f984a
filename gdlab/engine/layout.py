"""How the lanes of a group are laid out: rows of lanes that share work, chunks of rows, tiles of chunks.

A row holds lanes with one value of the outer axes (the seed, as a rule), so what depends on it alone is computed once
for the row. A chunk is what one call of the compiled body evaluates: few enough lanes that they stay in cache. A device
walks through its chunks one after the other; the devices' chunks make the tile, which is what is under way at once, and
one piece of the store. Nothing here reads a clock, so the same plan is laid out in the same way each time.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gdlab.engine.cost import Cost

# What the lanes of a chunk may take on a CPU: the second-level cache of a core, about.
CACHE = 2**20
# The first-level cache, about: lanes so small that a few of them are enough to do at each step stay in it.
NEAREST = 2**16
# Operations of a step of a chunk that are enough: below, what the calls of its kernels cost is seen.
BUSY = 2.5e5
# Lanes in a chunk, at most, unless the caller says.
WIDEST = 4096
# Lanes of a row are a multiple of this, as far as there are so many: whole vectors of the processor.
VECTOR = 8
# What a tile may hold: carries, records of a segment, results.
MEMORY = 256 * 2**20
# Segments of a tile, at most; of very long runs as many as there are `LONGEST` steps.
SEGMENTS = 16
LONGEST = 2000
# Operations that a segment is worth cutting for: what a call costs in Python is then not seen.
WORTHWHILE = 2e8
# Operations of a tile of a plain function, about: some seconds, which is what is lost when it is stopped.
TILE = 2e11


class Layout(NamedTuple):
    """How a group is cut."""

    rows: int  # rows of a chunk
    width: int  # lanes of a row
    tile: int  # lanes that are under way together
    blocks: int  # records of a segment
    segments: int

    @property
    def chunk(self) -> int:
        """Lanes of a chunk."""
        return self.rows * self.width

    @property
    def batching(self) -> str:
        """The batching mode in words."""
        if self.chunk == 1:
            return "map"
        shared = "a batch per run" if self.width == 1 else "shared batches"
        return f"vmap, {shared}, chunks of {self.chunk}"

    def narrowed(self) -> "Layout":
        """Half the lanes in a chunk, and in a tile."""
        if self.rows > 1:
            return self._replace(rows=self.rows // 2, tile=max(1, self.tile // 2))
        return self._replace(width=max(1, self.width // 2), tile=max(1, self.tile // 2))


def lay_out(
    lanes: np.ndarray,
    cost: Cost,
    records: int,
    steps: int,
    devices: int,
    *,
    cached: bool,
    chunk: int | None = None,
    tile: int | None = None,
) -> Layout:
    """A layout for lanes of which `lanes[i]` share each outer value.

    `chunk` fixes the lanes of a chunk, `tile` those of a tile. Else a chunk has, where `cached` (on a CPU), as many as
    `NEAREST` holds or, where these would have too little to do, more, up to what `CACHE` holds; elsewhere `WIDEST`; but
    no more than leave every device something to do. A tile has as many as `MEMORY` holds, and for a process without
    steps as many as are done in some seconds.
    """
    total = int(lanes.sum())
    blocks, segments = cut(records, steps, cost.block * total * records)
    each = 3 * cost.carry + 2 * blocks * cost.record + 2 * cost.result + 64
    room = max(1, MEMORY // each)
    most = chunk or _fitting(cost, cost.block * records / max(1, steps), cached, room)
    rows, width = _shape(lanes, most, devices, exact=chunk is not None)
    held = total if total <= room else max(rows * width, 1 << (room.bit_length() - 1))
    if not records and cost.once * held > TILE:  # it has no segments, so it is the tiles that are short
        at_once = devices * rows * width
        held = min(held, max(1, int(TILE / cost.once / at_once)) * at_once)
    return Layout(rows, width, min(tile or held, total), blocks, segments)


def cut(records: int, steps: int, work: float) -> tuple[int, int]:
    """(records in a segment, segments) for so many records, steps and operations: equal parts, the last one perhaps
    partly idle."""
    if not records:
        return 0, 0
    wanted = max(min(SEGMENTS, math.ceil(work / WORTHWHILE)), steps // LONGEST, 1)
    if wanted >= records:
        return 1, records
    # Of the nearby numbers of segments the one that leaves the least idle.
    idle = {n: -(-records // n) * n - records for n in range(-(-wanted // 2), wanted + 1)}
    segments = min(idle, key=lambda n: (idle[n], -n))
    return -(-records // segments), segments


def _fitting(cost: Cost, step: float, cached: bool, room: int) -> int:
    """Lanes of a chunk, `step` being the operations of one lane's step."""
    if cached and cost.convolved > cost.block / 2:
        return 1  # on a CPU a convolution with a kernel for each lane takes longer than one after the other
    fits = WIDEST
    if cached:
        each = max(1, cost.live + cost.carry)
        enough = math.ceil(BUSY / step) if step else WIDEST
        fits = min(WIDEST, CACHE // each, max(NEAREST // each, enough))
    return min(room, max(VECTOR, 1 << max(0, fits.bit_length() - 1)))


def _shape(lanes: np.ndarray, most: int, devices: int, exact: bool) -> tuple[int, int]:
    """(rows, width) of a chunk of at most `most` lanes with the least work for the busiest device."""
    longest = int(lanes.max())
    if exact:
        width = min(most, longest)
        return max(1, min(most // width, int((-(-lanes // width)).sum()))), width
    parts = [_aligned(-(-longest // k)) for k in range(1, 9)]
    widths = {min(width, most) for width in (*parts, *(VECTOR << k for k in range(10)), longest)}
    widths = {width for width in widths if width <= _aligned(longest) and (width % VECTOR == 0 or width >= longest)}
    best = (math.inf, (1, 1))
    for width in sorted(widths, reverse=True):
        rows_in_all = int((-(-lanes // width)).sum())
        rows = max(1, min(most // width, -(-rows_in_all // devices)))
        chunks = -(-rows_in_all // (devices * rows))
        # A narrow chunk is a little dearer for each lane.
        work = chunks * rows * width * (1 + 4 / (rows * width))
        best = min(best, (work, (rows, width)), key=lambda pair: pair[0])
    return best[1]


def _aligned(lanes: int) -> int:
    return lanes if lanes < VECTOR else -(-lanes // VECTOR) * VECTOR


def tiles(lanes: int, tile: int) -> Iterator[slice]:
    """The tiles of at most `tile` lanes that cover a group of so many."""
    for first in range(0, lanes, tile):
        yield slice(first, min(first + tile, lanes))


def rows_needed(lanes: np.ndarray, width: int) -> int:
    """How many rows lanes take of which `lanes[i]` share each outer value."""
    return int((-(-lanes // width)).sum())


def arrange(outer: np.ndarray, layout: Layout, devices: int, chunks: int) -> np.ndarray:
    """Which lane stands where: [devices * chunks, rows, width], -1 where none does.

    `outer[i]` is the number of lane i's outer value; equal ones stand together. Rows go to the devices by turns, so
    that neighbours, which tend to end at the same time, are spread evenly.
    """
    slots = np.full((devices, chunks * layout.rows, layout.width), -1)
    starts = np.flatnonzero(np.diff(outer, prepend=-1)) if len(outer) else np.zeros(0, int)
    counts = np.diff([*starts, len(outer)])
    first_row = np.cumsum([0, *(-(-counts // layout.width))])[:-1]
    rank = np.arange(len(outer)) - np.repeat(starts, counts)
    row = np.repeat(first_row, counts) + rank // layout.width
    slots[row % devices, row // devices, rank % layout.width] = np.arange(len(outer))
    return slots.reshape(devices * chunks, layout.rows, layout.width)
