"""Layouts of groups, checked by counting."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdlab.engine import layout as module
from gdlab.engine.cost import Cost
from gdlab.engine.layout import VECTOR, Layout, arrange, cut, lay_out, rows_needed, tiles

seeded = settings(derandomize=True, deadline=None)

counts = st.lists(st.integers(1, 40), min_size=1, max_size=9)  # runs of each outer value
sizes = st.sampled_from([0, 1, 4, 40, 4_000, 400_000, 40_000_000])
costs = st.builds(
    Cost,
    block=st.sampled_from([1.0, 1e3, 1e7]),
    carry=sizes,
    record=sizes,
    result=sizes,
    live=sizes,
    faster=st.booleans(),
)


@seeded
@given(counts, st.integers(1, 3), st.integers(1, 20), st.integers(1, 4), st.integers(0, 2))
def test_arrange_gives_each_run_a_slot_in_a_row_of_its_outer_value(run_counts, rows, width, devices, spare):
    outer = np.repeat(np.arange(len(run_counts)), run_counts)
    used = sum(math.ceil(count / width) for count in run_counts)
    chunks = math.ceil(used / (devices * rows)) + spare
    slots = arrange(outer, Layout(rows, width, len(outer), 1, 1), devices, chunks)
    assert slots.shape == (devices * chunks, rows, width)
    assert sorted(slots[slots >= 0].tolist()) == list(range(len(outer)))
    assert (slots[slots < 0] == -1).all()
    every_row = slots.reshape(-1, width)
    held = every_row[(every_row >= 0).any(axis=1)]
    assert rows_needed(np.array(run_counts), width) == used == len(held)
    for row in held:
        filled = int((row >= 0).sum())
        assert (row[:filled] >= 0).all()  # filled slots come first
        assert len(set(outer[row[:filled]].tolist())) == 1
    busy = slots.reshape(devices, chunks * rows, width)[..., 0] >= 0
    assert np.ptp(busy.sum(axis=1)) <= 1
    assert (np.diff(busy.astype(int), axis=1) <= 0).all()  # no gap: a device evaluates its first chunks only
    in_use = (slots >= 0).any(axis=(1, 2)).reshape(devices, chunks).sum(axis=1)
    assert np.ptp(in_use) <= 1


def test_arrange_deals_rows_to_the_devices_in_turn():
    slots = arrange(np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 2]), Layout(2, 3, 10, 1, 1), 2, 1)
    assert slots.tolist() == [[[0, 1, 2], [5, 6, 7]], [[3, 4, -1], [8, 9, -1]]]


def test_arrange_of_no_runs_is_empty():
    assert (arrange(np.zeros(0, int), Layout(2, 3, 1, 1, 1), 2, 1) == -1).all()


@pytest.mark.parametrize("wanted", [1, 2, 3, 5, 11, 16, 17, 40])
def test_cut_holds_every_record_without_an_idle_segment(wanted):
    by_length = wanted * module.LONGEST, 0.0
    by_work = 1, wanted * module.WORTHWHILE
    for records in range(1, 200):
        for steps, work in (by_length, by_work):
            blocks, segments = cut(records, steps, work)
            assert 0 <= blocks * segments - records < blocks
            assert segments <= max(module.SEGMENTS, steps // module.LONGEST)


def test_cut_of_no_records_has_no_segments():
    assert cut(0, 0, 1e13) == (0, 0)


@pytest.mark.parametrize(
    ("records", "steps", "work", "wanted"),
    [
        (100, 100, 0.0, (100, 1)),  # too little work to be cut
        (100, 100, 4 * module.WORTHWHILE, (25, 4)),
        (64, 64, 1e15, (4, 16)),
        (5, 5, 1e15, (1, 5)),
        (75, 75, 1e15, (5, 15)),  # of 16 segments the last would be idle
        (40_000, 40_000, 0.0, (2000, 20)),
        (4, 400_000, 0.0, (1, 4)),
    ],
)
def test_cut_follows_the_work_and_the_steps(records, steps, work, wanted):
    assert cut(records, steps, work) == wanted


def held(run_counts, cost, blocks):
    """Bytes of some runs between two calls: states, records, final results."""
    return run_counts * (cost.carry + blocks * cost.record + cost.result)


@seeded
@given(counts, costs, st.integers(1, 300), st.integers(1, 5), st.booleans())
def test_lay_out_keeps_its_bounds(run_counts, cost, records, devices, cached):
    run_counts = np.array(run_counts)
    found = lay_out(run_counts, cost, records, records, devices, cached=cached)
    rows, width, tile, blocks, segments, check_every, axis = found
    assert min(found[:-1]) >= 1
    assert check_every == 1 or cost.repeatable
    assert axis == "first" or (cached and cost.live + cost.carry <= module.SMALL and 2 * width >= module.WIDTH_LAST)
    assert found.chunk == rows * width <= module.WIDEST
    if width % VECTOR and width < run_counts.max():
        # Narrow only if VECTOR runs do not fit into the memory of a tile, or on a CPU because of convolutions.
        each = 3 * cost.carry + 2 * blocks * cost.record + 2 * cost.result + 64
        outside_cache = cost.faster and 2 * VECTOR * (cost.live + cost.carry) > module.CACHE
        assert width < VECTOR
        alone = cost.convolved > cost.block / 2
        assert VECTOR * each > module.MEMORY or (cached and (alone or outside_cache))
    assert width < run_counts.max() + VECTOR
    assert tile <= run_counts.sum()
    assert tile == 1 or held(tile, cost, blocks) <= module.MEMORY
    assert found.chunk == 1 or held(found.chunk, cost, blocks) <= module.MEMORY
    if cached and found.chunk > (1 if cost.faster else VECTOR):
        assert found.chunk * cost.live <= module.CACHE
    assert blocks * segments >= records


@seeded
@given(counts, st.integers(1, 5))
def test_lay_out_leaves_few_slots_empty(run_counts, devices):
    run_counts = np.array(run_counts)
    found = lay_out(run_counts, Cost(carry=4), 10, 10, devices, cached=True)

    def places(rows, width):
        return math.ceil(rows_needed(run_counts, width) / (devices * rows)) * rows * width

    assert places(found.rows, found.width) <= 1.5 * places(1, VECTOR)


@pytest.mark.parametrize("devices", [1, 2, 4])
def test_lay_out_divides_the_work_evenly(devices):
    found = lay_out(np.full(8, 64), Cost(carry=4), 10, 10, devices, cached=True)
    assert rows_needed(np.full(8, 64), found.width) * found.width == 8 * 64
    assert 8 * 64 % (devices * found.chunk) == 0


def test_lay_out_makes_chunks_that_fit_into_the_cache():
    thin, thick = Cost(carry=40, live=40), Cost(carry=40_000, live=100_000)
    assert lay_out(np.array([5]), thick, 10, 10, 1, cached=True).chunk == 5
    assert lay_out(np.array([4000]), thin, 10, 10, 1, cached=True).chunk == 4000
    assert lay_out(np.array([4000]), thick, 10, 10, 1, cached=True).chunk == VECTOR
    assert lay_out(np.array([4000]), thick, 10, 10, 1, cached=False).chunk > 1000


@seeded
@given(counts, st.integers(1, 100), st.integers(1, 100), st.integers(1, 4))
def test_lay_out_keeps_a_given_chunk_and_tile(run_counts, chunk, tile, devices):
    run_counts = np.array(run_counts)
    found = lay_out(run_counts, Cost(carry=module.MEMORY), 10, 10, devices, cached=True, chunk=chunk, tile=tile)
    assert found.chunk <= chunk
    assert found.width == min(chunk, run_counts.max())
    assert found.chunk > chunk - found.width or found.rows == rows_needed(run_counts, found.width)
    assert found.tile == min(tile, run_counts.sum())


def test_lay_out_makes_tiles_that_fit_into_memory():
    cost, run_counts = Cost(carry=2**20), np.full(4, 500)
    found = lay_out(run_counts, cost, 1, 1, 1, cached=True)
    assert 1 < found.tile < 2000
    assert 3 * found.tile * cost.carry <= module.MEMORY < 8 * found.tile * cost.carry


@pytest.mark.parametrize("start", [Layout(4, 24, 96, 1, 1), Layout(1, 7, 100, 3, 2), Layout(3, 1, 5, 1, 1)])
def test_layout_narrows_down_to_one_run(start):
    chunks = [start.chunk]
    while start.chunk > 1:
        before, start = start, start.narrowed()
        assert (start.blocks, start.segments) == (before.blocks, before.segments)
        assert start.tile == max(1, before.tile // 2)
        chunks.append(start.chunk)
    assert all(after <= before / 2 for before, after in itertools.pairwise(chunks))


@pytest.mark.parametrize(
    ("rows", "width", "words"),
    [
        (1, 1, "map"),
        (4, 1, "vmap, a batch per run, chunks of 4"),
        (2, 8, "vmap, shared batches, chunks of 16"),
        (1, 8, "vmap, shared batches, chunks of 8"),
    ],
)
def test_layout_batching_describes_the_mode(rows, width, words):
    assert Layout(rows, width, 100, 1, 1).batching == words


@seeded
@given(st.integers(1, 60), st.integers(1, 70))
def test_tiles_cover_every_run_once(runs, tile):
    found = list(tiles(runs, tile))
    assert [run for part in found for run in range(part.start, part.stop)] == list(range(runs))
    assert all(part.stop - part.start == tile for part in found[:-1])
    assert 0 < found[-1].stop - found[-1].start <= tile


def test_lay_out_keeps_small_busy_runs_in_the_first_level_cache():
    """Runs with little work per step use larger chunks, up to the second-level cache."""
    run_counts, live = np.array([100_000]), 1024
    busy = Cost(carry=4, live=live, block=module.BUSY)
    idle = Cost(carry=4, live=live, block=1.0)
    assert lay_out(run_counts, busy, 10, 10, 1, cached=True).chunk * live <= module.NEAREST
    assert lay_out(run_counts, idle, 10, 10, 1, cached=True).chunk * live > module.CACHE / 4


@pytest.mark.parametrize("carry", [2**12, 2**18, 2**20])
def test_lay_out_on_a_gpu_follows_memory_and_not_the_cache(carry):
    run_counts, large = np.array([100_000]), 100 * module.CACHE
    found = {lay_out(run_counts, Cost(carry=carry, live=live), 1, 1, 1, cached=False).chunk for live in (0, large)}
    (chunk,) = found  # the arrays of a step do not matter
    assert 3 * chunk * carry <= module.MEMORY
    assert chunk > module.WIDEST / 2 or 3 * (2 * chunk) * carry > module.MEMORY / 2
    assert chunk > 8 * VECTOR
    on_cpu = lay_out(run_counts, Cost(carry=carry, live=large), 1, 1, 1, cached=True)
    assert on_cpu.chunk == 1
