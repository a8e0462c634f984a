"""A device that runs out of memory: the same runs, fewer at a time."""

import jax
import numpy as np
import pytest

from gdlab import Stop, evaluate, rules
from gdlab.engine import runner
from gdlab.engine import tile_run as flight
from gdlab.engine.execute import Settings
from gdlab.engine.runner import OutOfMemoryError, Stopped
from tests.engine.engine_cases import assert_same_bits, bowl, executed, trained

RATES = 2.0 ** np.arange(-4, 12)


def runs():
    """Of the first seed all runs end at once; of the last most go on to the end."""
    stop = Stop(bound=1e6)
    pairs = [(seed, lr) for seed, lrs in enumerate((RATES[-8:], RATES[5:10], RATES[:5])) for lr in lrs]
    probes = {"index": lambda step: step.index}
    return trained(bowl(), rules.gd, {("seed", "lr"): pairs}, steps=24, probes=probes, stop=stop)


@pytest.fixture
def small(monkeypatch, segmented):
    """A device with room for so many lanes."""
    segmented(8)

    def holds(room):
        start, seen = flight.Flight.__init__, []

        def begun(self, group, of, lanes, snapshot=None):
            seen.append(len(lanes))
            if len(lanes) > room or of.layout.chunk > room:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes.")
            start(self, group, of, lanes, snapshot)

        monkeypatch.setattr(flight.Flight, "__init__", begun)
        return seen

    return holds


@pytest.mark.parametrize("room", [1, 5, 17])
def test_runs_go_on_with_fewer_at_a_time(room, small):
    points, groups = runs()
    wanted = executed(points, groups, Settings(chunk=1))
    assert len(np.unique(wanted["diverged_at"])) > 4
    seen = small(room)
    found = executed(points, groups)
    assert max(lanes for lanes in seen[seen.index(min(seen)) :]) <= room
    assert_same_bits(found, wanted)


def test_series_of_those_that_run_on_are_whole_where_others_ended_early(small):
    points, groups = runs()
    small(8)
    data = executed(points, groups)
    ended = np.where(data["diverged_at"] < 0, 24, data["diverged_at"] + 1)
    np.testing.assert_array_equal((data["index"] >= 0).sum("step"), ended)


def test_each_run_is_counted_once(small):
    told = []
    points, groups = runs()
    small(5)
    data = executed(points, groups, Settings(progress=told.append))
    assert told[-1].status["diverged"] == int((data["diverged_at"] >= 0).sum())
    assert told[-1].done == told[-1].lanes == 18
    assert max(progress.done for progress in told) <= 18


def test_a_run_that_does_not_fit_alone_is_said_not_to(small):
    points, groups = runs()
    small(0)
    with pytest.raises(OutOfMemoryError, match="one run alone does not fit into the memory of the device"):
        executed(points, groups)


def test_it_stops_when_it_is_asked_to(small):
    points, groups = runs()
    seen = small(5)
    with pytest.raises(Stopped):
        executed(points, groups, Settings(stop=lambda: len(seen) > 3))


def test_other_troubles_of_a_device_are_not_taken_for_it(monkeypatch):
    def broken(*args):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    monkeypatch.setattr(runner, "Flight", broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL: something else"):
        executed(*runs())


def test_functions_go_on_with_fewer_points_too(small):
    small(3)
    x, y = np.arange(4.0), np.arange(5.0)
    np.testing.assert_array_equal(evaluate(lambda x, y: x * y, {"x": x, "y": y})["value"], np.outer(x, y))
