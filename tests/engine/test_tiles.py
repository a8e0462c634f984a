"""Results have the same bits for any chunk, tile and number of segments."""

import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import Stop, sweep
from gdlab.engine import execute as engine
from gdlab.engine import layout
from gdlab.engine.execute import Settings, execute
from gdlab.engine.sink import MemorySink
from gdlab.rules import gd
from tests.engine.engine_cases import assert_same_bits, bowl, bowl_start, executed, planned, trained

# With these rates six steps are exact in float32. For other rates the compiler may round differently in chunks of
# different sizes, and the test would compare the compiler's rounding.
CALM = [0.5, 0.25, 1.0, 0.0]
RATES = [*CALM, 2.0**50]
SEEDS = 3
PROBES = {"x": lambda step: step.params, "index": lambda step: step.index}


def swept(rates=RATES, seeds=SEEDS, **settings):
    return sweep(bowl(), gd, {"lr": rates, "seed": seeds}, **{"steps": 6, "probes": PROBES} | settings)


def runs(rates=RATES, seeds=SEEDS):
    return trained(bowl(), gd, {"lr": rates, "seed": seeds}, steps=6, probes=PROBES)


@pytest.fixture(scope="module")
def whole():
    return swept()


def test_sweep_equals_the_closed_form(whole):
    assert whole["loss"].dims == ("lr", "seed", "step")
    lr, step = np.array(CALM)[:, None], np.arange(6)
    assert len({tuple(bowl_start(seed)) for seed in range(SEEDS)}) > 1
    for seed in range(SEEDS):
        x, y = (z * (1 - c * lr) ** step for z, c in zip(bowl_start(seed), (1, 4), strict=True))
        np.testing.assert_array_equal(whole["x"].values[:4, seed], np.stack([x, y], axis=-1))
        np.testing.assert_array_equal(whole["loss"].values[:4, seed], 0.5 * (x**2 + 4 * y**2))
    np.testing.assert_array_equal(whole["diverged_at"], [[-1] * 3] * 4 + [[2] * 3])
    np.testing.assert_array_equal(whole["index"][4], [[0, 1, 2, -1, -1, -1]] * 3)


@pytest.mark.parametrize("chunk", [1, 3, 7, 10])
def test_sweep_has_the_same_bits_for_any_chunk(whole, chunk):
    assert_same_bits(swept(chunk=chunk), whole)


@pytest.mark.parametrize(("most", "segments"), [(1, 1), (2, 2), (5, 3), (6, 6)])
def test_sweep_has_the_same_bits_for_any_number_of_segments(whole, most, segments, segmented):
    segmented(most)
    (timing,) = execute(runs()[1], MemorySink())
    assert timing.layout.segments == segments
    assert_same_bits(swept(), whole)


@pytest.mark.parametrize(("tile", "chunk"), [(1, 1), (4, 2), (4, None), (5, 3), (14, 7), (100, None)])
def test_execute_has_the_same_bits_for_any_tile(whole, tile, chunk, segmented):
    segmented(3)
    points, groups = runs()
    assert_same_bits(executed(points, groups, Settings(tile=tile, chunk=chunk)), whole)


def test_sweep_records_every_second_step_across_segments(whole, segmented):
    segmented(3)
    thin = swept(every=2)
    np.testing.assert_array_equal(thin["step"], [0, 2, 4])
    assert_same_bits(thin, whole.isel(step=[0, 2, 4]))


def test_execute_repeats_the_bits_of_repeated_points(whole):
    twice = executed(*runs([*RATES, 0.25, 0.5], [0, 1, 2, 1]))
    assert_same_bits(twice.isel(lr=[0, 5, 2, 3, 4], seed=slice(3)), whole)
    assert_same_bits(twice.isel(lr=6, seed=3), whole.sel(lr=0.5, seed=1))


def test_sweep_fills_series_if_all_runs_diverge_early(segmented):
    def go():
        done = []
        data = swept([2.0**50, 2.0**70, 2.0**26], 2, steps=48, progress=lambda progress: done.append(progress.done))
        return data, done

    segmented(16)
    data, done = go()
    assert 0 < max(runs for runs in done if runs < 6) < 3
    assert data["loss"].shape == (3, 2, 48)
    np.testing.assert_array_equal(data["diverged_at"], [[2, 2], [1, 1], [3, 3]])
    past = data["step"].values > data["diverged_at"].values[..., None]
    np.testing.assert_array_equal(np.isnan(data["loss"]), past)
    np.testing.assert_array_equal(np.isnan(data["x"][..., 0]), past)
    np.testing.assert_array_equal(data["index"], np.where(past, -1, data["step"].values))
    segmented(1)
    undivided, _ = go()
    assert_same_bits(data, undivided)


def test_sweep_fills_series_if_all_runs_converge_early(segmented):
    segmented(16)
    data = sweep(bowl(), gd, {"lr": [0.2, 0.25], "seed": 2}, steps=48, stop=Stop(loss=25.0))
    np.testing.assert_array_equal(data["converged_at"], np.zeros((2, 2)))
    assert np.isfinite(data["loss"][..., 0]).all()
    assert np.isnan(data["loss"][..., 1:]).all()


@pytest.mark.parametrize(("steps", "every"), [(0, 1), (5, 3), (5, None), (1, 7), (17, 1), (23, 5), (40, 3)])
def test_sweep_allows_steps_that_segments_do_not_divide(steps, every, segmented):
    segmented(16)
    data = sweep(bowl(), gd, {"lr": [0.125, 0.25]}, steps=steps, every=every)
    np.testing.assert_array_equal(data["steps_taken"], [steps, steps])
    x, y = bowl_start(0)
    lr = np.array([0.125, 0.25])
    np.testing.assert_allclose(
        data["final_loss"], 0.5 * ((x * (1 - lr) ** steps) ** 2 + 4 * (y * (1 - 4 * lr) ** steps) ** 2), rtol=1e-5
    )
    records = 0 if every is None else -(-steps // every)
    assert ("loss" in data) == (records > 0)
    if records:
        assert data["loss"].shape == (2, records)
        np.testing.assert_array_equal(data["step"], np.arange(records) * every)
        assert np.isfinite(data["loss"]).all()


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 8, 14, 15, 100])
def test_execute_evaluates_at_most_a_chunk_per_call(chunk):
    groups = planned(lambda x, y: x + y, {"x": np.arange(5.0), "y": np.arange(3.0)})
    (timing,) = execute(groups, MemorySink(), Settings(chunk=chunk))
    assert timing.layout.chunk <= chunk
    assert timing.runs == 15


@pytest.mark.parametrize(("name", "value"), [("chunk", 0), ("chunk", -3), ("tile", 0)])
def test_execute_refuses_a_chunk_or_tile_below_one(name, value):
    groups = planned(lambda x: x, {"x": [1.0]})
    with pytest.raises(ValueError, match=f"{name} must be at least 1, not {value}"):
        execute(groups, MemorySink(), Settings(**{name: value}))


def table():
    return planned(lambda x, y: x * y * jnp.arange(500.0), {"x": np.arange(5.0), "y": np.arange(3.0)})


def test_execute_uses_tiles_if_memory_is_small(monkeypatch):
    free, tight = MemorySink(), MemorySink()
    (before,) = execute(table(), free)
    monkeypatch.setattr(layout, "MEMORY", 15 * 500 * 4)
    (after,) = execute(table(), tight)
    assert before.layout.tile == 15
    assert after.layout.tile < 8
    assert after.memory < before.memory
    np.testing.assert_array_equal(tight.results[0]["value"], free.results[0]["value"])


def test_execute_narrows_programs_that_need_too_much_memory(monkeypatch):
    free, tight = MemorySink(), MemorySink()
    (before,) = execute(table(), free)
    monkeypatch.setattr(engine, "MEMORY", before.memory // 6)
    (after,) = execute(table(), tight)
    assert after.layout.chunk < before.layout.chunk == 15
    assert after.memory <= before.memory // 3
    np.testing.assert_array_equal(tight.results[0]["value"], free.results[0]["value"])


def test_execute_keeps_a_given_chunk_if_memory_is_small(monkeypatch):
    monkeypatch.setattr(engine, "MEMORY", 1)
    monkeypatch.setattr(layout, "MEMORY", 1)
    groups = planned(lambda x: x * jnp.ones(9), {"x": np.arange(4.0)})
    (timing,) = execute(groups, MemorySink(), Settings(chunk=4))
    assert timing.layout.chunk == 4
