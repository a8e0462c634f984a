"""`TileRun.release` ends runs early with their current results, and does not affect the others."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdlab import Problem, Stop, rules
from gdlab.engine.chunk_programs import chunk_programs
from gdlab.engine.execute import run_mesh
from gdlab.engine.layout import Layout, arrange, rows_needed
from gdlab.engine.tile_run import TileRun
from tests.engine.engine_cases import bowl, executed, trained

STEPS, SEGMENTS, SEEDS = 48, 16, 3
RATES = 2.0 ** np.arange(-8, 24)
PROBES = {"x": lambda step: step.params}
# Runs that are released after a segment: the first runs of some rows, all runs of other rows, and every second run.
GONE = {3: np.r_[0:6, 32:41, 64:72], 8: np.arange(7, 96, 2)}
CUTS = [(1, 8), (3, 16), (2, 12), (3, 5), (8, 1)]


def bowls(steps=STEPS):
    over = {"lr": RATES, "seed": SEEDS}
    return trained(bowl(), rules.momentum, over, steps=steps, probes=PROBES, stop=Stop(loss=0.05))


def begun(group, rows, width):
    layout = Layout(rows, width, group.size, STEPS // SEGMENTS, SEGMENTS)
    mesh = run_mesh()
    chunks = -(-rows_needed(np.full(SEEDS, len(RATES)), width) // (mesh.size * rows))
    return TileRun(group, chunk_programs(group, layout, chunks, mesh), np.arange(group.size))


def flown(cut, gone, *, spread=False, pack=False):
    """The records of all segments, the final results, and the number of chunks in use in each segment."""
    (group,) = bowls()[1]
    tile, records, chunks = begun(group, *cut), [], []
    for segment in range(SEGMENTS):
        chunks.append(int(np.asarray(tile._count).sum()))
        sent = tile.advance(segment)
        tile.wait()
        if segment in gone:
            tile.release(gone[segment])
            assert not tile.status["alive"][gone[segment]].any()
            if spread:
                tile.rebalance()
        if pack:
            tile.compact()
        records.append(tile.records(sent))
    joined = {name: np.concatenate([record[name] for record in records], axis=1) for name in records[0]}
    return joined, tile.results(), chunks


@pytest.mark.parametrize("how", [{}, {"pack": True}, {"spread": True}, {"spread": True, "pack": True}], ids=str)
@pytest.mark.parametrize("cut", CUTS)
def test_release_ends_runs_and_changes_no_bit_of_the_others(cut, how):
    records, ends, chunks = flown(cut, GONE, **how)
    kept, lasted, most = flown(cut, {})
    stays = np.setdiff1d(np.arange(96), np.concatenate(list(GONE.values())))
    for name, values in kept.items():
        assert records[name][stays].tobytes() == values[stays].tobytes(), name
    for name, values in lasted.items():
        assert ends[name][stays].tobytes() == values[stays].tobytes(), name
    left = np.arange(96)
    for segment, released in GONE.items():
        steps = (segment + 1) * STEPS // SEGMENTS
        ended, left = np.intersect1d(released, left), np.setdiff1d(left, released)
        shorter = executed(*bowls(steps)).stack(run=["seed", "lr"]).isel(run=ended)
        for name in ("final_loss", "best_loss", "converged_at"):
            np.testing.assert_array_equal(ends[name][ended], shorter[name], err_msg=name)
        assert records["loss"][ended, :steps].tobytes() == kept["loss"][ended, :steps].tobytes()
        assert np.isnan(records["loss"][ended, steps:]).all()
    if how.get("spread"):
        assert chunks[-1] < most[-1]


def test_release_keeps_the_results_of_runs_that_have_ended():
    (group,) = bowls()[1]
    tile = begun(group, 1, 8)
    for segment in range(4):
        tile.advance(segment)
        tile.wait()
    ended = np.flatnonzero(~tile.status["alive"])
    assert 0 < len(ended) < 96
    before = {name: values.copy() for name, values in tile.results().items()}
    tile.release(ended)
    tile.rebalance()
    tile.advance(4)
    tile.wait()
    tile.release(ended[:3])
    for name, values in tile.results().items():
        np.testing.assert_array_equal(values[ended], before[name][ended], err_msg=name)
    assert not tile.status["alive"][ended].any()


def test_results_are_evaluated_once_per_placement():
    counted = []
    (group,) = trained(
        Problem(init=lambda key: jax.random.normal(key, (2,)), loss=bowl().loss),
        rules.gd,
        {"lr": RATES, "seed": 3},
        steps=STEPS,
    )[1]
    tile = begun(group, 1, 8)
    finish = tile._programs.finish
    tile._programs = tile._programs._replace(finish=lambda *args: counted.append(1) or finish(*args))
    for segment in range(2):
        tile.advance(segment)
        tile.wait()
        tile.results()
        tile.release(np.arange(segment * 8, segment * 8 + 8))
        tile.rebalance()
        tile.compact()
        assert len(counted) == segment + 1


def test_release_accepts_all_runs():
    (group,) = bowls()[1]
    tile = begun(group, 2, 8)
    tile.advance(0)
    tile.wait()
    tile.release(np.arange(96))
    tile.rebalance()
    tile.compact()
    assert tile.alive == 0
    assert np.isfinite(tile.results()["best_loss"]).all()


@settings(derandomize=True, deadline=None)
@given(st.data())
def test_rebalance_divides_runs_evenly_and_keeps_their_columns(data):
    devices, rows = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    width = data.draw(st.sampled_from([1, 8, 16]))
    counts = np.array(data.draw(st.lists(st.integers(1, 30), min_size=1, max_size=6)))
    outer, layout = np.repeat(np.arange(len(counts)), counts), Layout(rows, width, int(counts.sum()), 1, 1)
    chunks = -(-rows_needed(counts, width) // (devices * rows))
    slots = arrange(outer, layout, devices, chunks)
    alive = np.array(data.draw(st.lists(st.booleans(), min_size=len(outer), max_size=len(outer))))
    alive[data.draw(st.integers(0, len(outer) - 1))] = True
    of = SimpleNamespace(layout=layout, mesh=SimpleNamespace(size=devices), chunks=chunks)
    tile = object.__new__(TileRun)
    tile._programs, tile._slots, tile._outer, tile.status = of, slots, outer, {"alive": alive}
    dealt, source = tile._balanced()
    assert dealt.shape == slots.shape
    np.testing.assert_array_equal(np.sort(dealt[dealt >= 0]), np.flatnonzero(alive))
    np.testing.assert_array_equal(slots.reshape(-1)[source][dealt >= 0], dealt[dealt >= 0])
    used = (dealt >= 0).any(axis=2).reshape(devices, -1).sum(axis=1)
    # For each outer value, the number of rows is the largest number of runs in one column.
    place = np.empty(len(outer), int)
    place[slots[slots >= 0]] = np.nonzero(slots >= 0)[2]
    crowd = np.zeros((len(counts), width), int)
    np.add.at(crowd, (outer[alive], place[alive]), 1)
    assert used.sum() == crowd.max(axis=1).sum()
    found = np.empty(len(outer), int)
    found[dealt[dealt >= 0]] = np.nonzero(dealt >= 0)[2]
    np.testing.assert_array_equal(found[alive], place[alive])
    assert np.ptp(used) <= 1
    for row in dealt.reshape(-1, width):
        assert len(set(outer[row[row >= 0]])) <= 1
