"""`Runner` when the device runs out of memory: the same results with fewer runs at a time."""

import jax
import numpy as np
import pytest

from gdlab import Stop, evaluate, rules
from gdlab.engine import runner, tile_run
from gdlab.engine.execute import Settings
from gdlab.engine.runner import OutOfMemoryError, Stopped
from tests.engine.engine_cases import assert_same_bits, bowl, executed, trained

RATES = 2.0 ** np.arange(-4, 12)


def runs():
    """All runs of the first seed end at once; most of the last seed take all steps."""
    stop = Stop(bound=1e6)
    pairs = [(seed, lr) for seed, lrs in enumerate((RATES[-8:], RATES[5:10], RATES[:5])) for lr in lrs]
    probes = {"index": lambda step: step.index}
    return trained(bowl(), rules.gd, {("seed", "lr"): pairs}, steps=24, probes=probes, stop=stop)


@pytest.fixture
def small(monkeypatch, segmented):
    """A function that sets how many runs fit into the memory of the device."""
    segmented(8)

    def holds(room):
        start, seen = tile_run.TileRun.__init__, []

        def begun(self, group, programs, runs, checkpoint=None):
            seen.append(len(runs))
            if len(runs) > room or programs.layout.chunk > room:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes.")
            start(self, group, programs, runs, checkpoint)

        monkeypatch.setattr(tile_run.TileRun, "__init__", begun)
        return seen

    return holds


@pytest.mark.parametrize("room", [1, 5, 17])
def test_runner_continues_with_fewer_runs_at_a_time(room, small):
    points, groups = runs()
    wanted = executed(points, groups, Settings(chunk=1))
    assert len(np.unique(wanted["diverged_at"])) > 4
    seen = small(room)
    found = executed(points, groups)
    assert max(runs_at_once for runs_at_once in seen[seen.index(min(seen)) :]) <= room
    assert_same_bits(found, wanted)


def test_runner_completes_series_if_other_parts_ended_early(small):
    points, groups = runs()
    small(8)
    data = executed(points, groups)
    ended = np.where(data["diverged_at"] < 0, 24, data["diverged_at"] + 1)
    np.testing.assert_array_equal((data["index"] >= 0).sum("step"), ended)


def test_runner_counts_each_run_once(small):
    reports = []
    points, groups = runs()
    small(5)
    data = executed(points, groups, Settings(progress=reports.append))
    assert reports[-1].status["diverged"] == int((data["diverged_at"] >= 0).sum())
    assert reports[-1].done == reports[-1].runs == 18
    assert max(progress.done for progress in reports) <= 18


def test_runner_raises_if_a_single_run_does_not_fit(small):
    points, groups = runs()
    small(0)
    with pytest.raises(OutOfMemoryError, match="a single run does not fit into the memory of the device"):
        executed(points, groups)


def test_runner_stops_between_parts(small):
    points, groups = runs()
    seen = small(5)
    with pytest.raises(Stopped):
        executed(points, groups, Settings(stop=lambda: len(seen) > 3))


def test_runner_raises_other_errors_of_the_device(monkeypatch):
    def broken(*args):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    monkeypatch.setattr(runner, "TileRun", broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL: something else"):
        executed(*runs())


def test_runner_continues_functions_with_fewer_points(small):
    small(3)
    x, y = np.arange(4.0), np.arange(5.0)
    np.testing.assert_array_equal(evaluate(lambda x, y: x * y, {"x": x, "y": y})["value"], np.outer(x, y))
