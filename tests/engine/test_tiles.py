"""Runs of many steps, tile by tile and segment by segment: how they are cut makes no difference to any bit."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from engine_cases import assert_same_bits, bowl, planned

from gdlab import Stop, sweep
from gdlab.engine import execute as engine
from gdlab.engine.dataset import Memory
from gdlab.engine.plan import plan
from gdlab.engine.program import Tile
from gdlab.rules import gd, momentum
from gdlab.training import assignment

RATES = [0.1, 0.4, 0.6, 0.3, 1e9]
over_seeds = {"lr": RATES, "seed": 3}
index = {"index": lambda step: step.index}


@pytest.fixture(scope="module")
def whole():
    return sweep(bowl(), gd, over_seeds, steps=12, every=2, probes=index)


def test_the_runs_are_those_of_the_closed_form(whole):
    np.testing.assert_array_equal(whole["step"], np.arange(0, 12, 2))
    assert whole["loss"].dims == ("lr", "seed", "step")
    calm = whole["loss"].sel(lr=0.1)
    np.testing.assert_allclose(calm.values[..., 0], whole["loss"].sel(lr=0.4).values[..., 0])
    assert (whole["diverged_at"].values[:4] == -1).all()
    assert (whole["diverged_at"].values[4] > 0).all()


@pytest.mark.parametrize("chunk", [1, 3, 7, 10])
def test_the_chunk_makes_no_difference_to_any_bit_of_a_run(whole, chunk):
    assert_same_bits(sweep(bowl(), gd, over_seeds, steps=12, every=2, probes=index, chunk=chunk), whole)


@pytest.mark.parametrize("segments", [1, 6])
def test_the_segments_make_no_difference_to_any_bit_of_a_run(whole, segments, monkeypatch):
    monkeypatch.setattr(engine, "SEGMENTS", segments)
    assert_same_bits(sweep(bowl(), gd, over_seeds, steps=12, every=2, probes=index), whole)


def test_a_lane_that_diverges_changes_no_bit_of_its_neighbours(whole):
    calm = sweep(bowl(), gd, {"lr": [*RATES[:4], 0.2], "seed": 3}, steps=12, every=2, probes=index)
    assert (calm["diverged_at"] == -1).all()
    assert_same_bits(calm.isel(lr=slice(4)), whole.isel(lr=slice(4)))


def test_points_given_twice_hold_the_same_bits(whole):
    twice = sweep(bowl(), gd, {"lr": [*RATES, 0.4, 0.1], "seed": [0, 1, 2, 1]}, steps=12, every=2, probes=index)
    assert_same_bits(twice.isel(lr=[0, 5, 2, 3, 4], seed=slice(3)), whole.sel(lr=[0.1, 0.4, 0.6, 0.3, 1e9]))
    assert_same_bits(twice.isel(lr=6, seed=3), whole.sel(lr=0.1, seed=1))


def test_series_of_runs_that_all_end_early_are_blank_to_their_end(monkeypatch):
    def go():
        done = []
        data = sweep(
            bowl(),
            gd,
            {"lr": [1e8, 1e9], "seed": 2},
            steps=48,
            probes=index,
            progress=lambda progress: done.append(progress.done),
        )
        return data, done

    data, done = go()
    assert max(step for step in done if step < 4) < 2
    ends = data["diverged_at"].values
    assert (0 < ends).all()
    assert (ends < 12).all()
    past = data["step"].values > ends[..., None]
    np.testing.assert_array_equal(np.isnan(data["loss"].values), past | ~np.isfinite(data["loss"].values))
    np.testing.assert_array_equal(data["index"], np.where(past, -1, data["step"].values))
    assert data["loss"].shape == (2, 2, 48)
    monkeypatch.setattr(engine, "SEGMENTS", 1)
    undivided, _ = go()
    assert_same_bits(data, undivided)


def test_runs_that_all_converge_early_are_blank_to_their_end():
    data = sweep(bowl(), gd, {"lr": [0.2, 0.25], "seed": 2}, steps=48, stop=Stop(loss=10.0))
    np.testing.assert_array_equal(data["converged_at"], np.zeros((2, 2)))
    assert np.isfinite(data["loss"][..., 0]).all()
    assert np.isnan(data["loss"][..., 1:]).all()


@pytest.mark.parametrize(("steps", "every"), [(0, 1), (5, 3), (5, None), (1, 7)])
def test_steps_that_no_segment_divides(steps, every):
    data = sweep(bowl(), gd, {"lr": [0.1, 0.2]}, steps=steps, every=every)
    np.testing.assert_array_equal(data["steps_taken"], [steps, steps])
    records = 0 if every is None else -(-steps // every)
    assert (data["loss"].shape if records else ("loss" in data)) == ((2, records) if records else False)


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 8, 14, 15, 100])
def test_no_call_evaluates_more_lanes_than_the_chunk(chunk):
    groups = planned(lambda x, y: x + y, {"x": np.arange(5.0), "y": np.arange(3.0)})
    (timing,) = engine.execute(groups, Memory(), chunk=chunk)
    assert timing.tile.outer * timing.tile.inner <= chunk
    assert timing.lanes == 15


@pytest.mark.parametrize("shape", [(1, 7), (4, 6), (5, 1)])
@pytest.mark.parametrize("tile", [Tile(1, 1), Tile(1, 3), Tile(2, 4), Tile(4, 7)])
def test_tiles_cover_every_lane_once(shape, tile):
    seen = np.zeros(shape, int)
    for outer, inner in engine.tiles(shape, tile):
        assert 0 < outer.stop - outer.start <= tile.outer
        assert 0 < inner.stop - inner.start <= tile.inner
        seen[outer, inner] += 1
    assert (seen == 1).all()


def test_too_little_memory_narrows_the_tile_and_changes_nothing(monkeypatch):
    build, points = assignment(bowl(), functools.partial(momentum, beta=0.5), over_seeds, steps=4)
    groups = plan(points, build)
    free, tight = Memory(), Memory()
    (before,) = engine.execute(groups, free)
    monkeypatch.setattr(engine, "MEMORY", before.memory // 3)
    (after,) = engine.execute(groups, tight)
    assert after.tile.outer * after.tile.inner < before.tile.outer * before.tile.inner == 15
    assert after.memory <= before.memory // 3
    for name, values in free.results[0].items():
        np.testing.assert_array_equal(tight.results[0][name], values, err_msg=name)


def test_a_chunk_that_is_asked_for_is_kept_whatever_the_memory(monkeypatch):
    monkeypatch.setattr(engine, "MEMORY", 1)
    (timing,) = engine.execute(planned(lambda x: x * jnp.ones(9), {"x": np.arange(4.0)}), Memory(), chunk=4)
    assert timing.tile == Tile(1, 4)
