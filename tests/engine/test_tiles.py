"""Runs of many steps, tile by tile and segment by segment: how they are cut makes no difference to any bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine_cases import assert_same_bits, bowl, planned

from gdlab import Stop, sweep
from gdlab.engine import execute as engine
from gdlab.engine.dataset import Memory
from gdlab.engine.program import Tile
from gdlab.rules import gd

# With these rates six steps are exact in float32. The compiler may otherwise round a little differently for tiles of
# different sizes, and the bits would tell about it rather than about the engine.
CALM = [0.5, 0.25, 1.0, 0.0]
RATES = [*CALM, 2.0**50]
SEEDS = 3


def swept(rates=RATES, seeds=SEEDS, **settings):
    probes = {"x": lambda step: step.params, "index": lambda step: step.index}
    return sweep(bowl(), gd, {"lr": rates, "seed": seeds}, **{"steps": 6, "probes": probes} | settings)


def start(seed):
    return np.asarray(bowl().init(jax.random.split(jax.random.key(seed), 3)[0]), float)


@pytest.fixture(scope="module")
def whole():
    return swept()


def test_the_runs_are_those_of_the_closed_form(whole):
    assert whole["loss"].dims == ("lr", "seed", "step")
    lr, step = np.array(CALM)[:, None], np.arange(6)
    starts = {tuple(start(seed)) for seed in range(SEEDS)}
    assert len(starts) > 1
    for seed in range(SEEDS):
        x, y = (z * (1 - c * lr) ** step for z, c in zip(start(seed), (1, 4), strict=True))
        np.testing.assert_array_equal(whole["x"].values[:4, seed], np.stack([x, y], axis=-1))
        np.testing.assert_array_equal(whole["loss"].values[:4, seed], 0.5 * (x**2 + 4 * y**2))
    np.testing.assert_array_equal(whole["diverged_at"], [[-1] * 3] * 4 + [[2] * 3])
    np.testing.assert_array_equal(whole["index"][4], [[0, 1, 2, -1, -1, -1]] * 3)


@pytest.mark.parametrize("chunk", [1, 3, 7, 10])
def test_the_chunk_makes_no_difference_to_any_bit(whole, chunk):
    assert_same_bits(swept(chunk=chunk), whole)


@pytest.mark.parametrize("segments", [1, 3])
def test_the_segments_make_no_difference_to_any_bit(whole, segments, monkeypatch):
    monkeypatch.setattr(engine, "SEGMENTS", segments)
    assert_same_bits(swept(), whole)


def test_records_are_thinned_across_segments(whole):
    thin = swept(every=2)
    np.testing.assert_array_equal(thin["step"], [0, 2, 4])
    assert_same_bits(thin, whole.isel(step=[0, 2, 4]))


def test_a_lane_that_diverges_changes_no_bit_of_its_neighbours(whole):
    calm = swept([*CALM, 0.1])
    assert (calm["diverged_at"] == -1).all()
    assert_same_bits(calm.isel(lr=slice(4)), whole.isel(lr=slice(4)))


def test_points_given_twice_hold_the_same_bits(whole):
    twice = swept([*RATES, 0.25, 0.5], [0, 1, 2, 1])
    assert_same_bits(twice.isel(lr=[0, 5, 2, 3, 4], seed=slice(3)), whole)
    assert_same_bits(twice.isel(lr=6, seed=3), whole.sel(lr=0.5, seed=1))


def test_series_of_runs_that_all_end_early_are_blank_to_their_end(monkeypatch):
    def go():
        told = []
        data = swept([2.0**50, 2.0**70, 2.0**26], 2, steps=48, progress=lambda progress: told.append(progress.done))
        return data, told

    data, done = go()
    assert max(lanes for lanes in done if lanes < 6) < 3
    assert data["loss"].shape == (3, 2, 48)
    np.testing.assert_array_equal(data["diverged_at"], [[2, 2], [1, 1], [3, 3]])
    past = data["step"].values > data["diverged_at"].values[..., None]
    np.testing.assert_array_equal(np.isnan(data["loss"]), past)
    np.testing.assert_array_equal(np.isnan(data["x"][..., 0]), past)
    np.testing.assert_array_equal(data["index"], np.where(past, -1, data["step"].values))
    monkeypatch.setattr(engine, "SEGMENTS", 1)
    undivided, _ = go()
    assert_same_bits(data, undivided)


def test_runs_that_all_converge_early_are_blank_to_their_end():
    data = sweep(bowl(), gd, {"lr": [0.2, 0.25], "seed": 2}, steps=48, stop=Stop(loss=25.0))
    np.testing.assert_array_equal(data["converged_at"], np.zeros((2, 2)))
    assert np.isfinite(data["loss"][..., 0]).all()
    assert np.isnan(data["loss"][..., 1:]).all()


@pytest.mark.parametrize(("steps", "every"), [(0, 1), (5, 3), (5, None), (1, 7)])
def test_steps_that_no_segment_divides(steps, every):
    data = sweep(bowl(), gd, {"lr": [0.1, 0.2]}, steps=steps, every=every)
    np.testing.assert_array_equal(data["steps_taken"], [steps, steps])
    records = 0 if every is None else -(-steps // every)
    assert ("loss" in data) == (records > 0)
    if records:
        assert data["loss"].shape == (2, records)
        np.testing.assert_array_equal(data["step"], np.arange(records) * every)


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
    groups = planned(lambda x, y: x * y * jnp.arange(500.0), {"x": np.arange(5.0), "y": np.arange(3.0)})
    free, tight = Memory(), Memory()
    (before,) = engine.execute(groups, free)
    monkeypatch.setattr(engine, "MEMORY", before.memory // 3)
    (after,) = engine.execute(groups, tight)
    assert before.tile == Tile(1, 15)
    assert after.tile.inner < 8
    assert after.memory <= before.memory // 3
    np.testing.assert_array_equal(tight.results[0]["value"], free.results[0]["value"])


def test_a_chunk_that_is_asked_for_is_kept_whatever_the_memory(monkeypatch):
    monkeypatch.setattr(engine, "MEMORY", 1)
    (timing,) = engine.execute(planned(lambda x: x * jnp.ones(9), {"x": np.arange(4.0)}), Memory(), chunk=4)
    assert timing.tile == Tile(1, 4)
