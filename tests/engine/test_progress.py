"""What is told to whoever watches."""

import numpy as np
import pytest

from gdlab import Stop, sweep
from gdlab.engine.execute import Settings, execute
from gdlab.engine.sink import Memory
from gdlab.rules import gd, momentum
from tests.engine.engine_cases import bowl, planned, trained


def told_of(groups, **settings):
    told = []
    execute(groups, Memory(), Settings(progress=told.append, **settings))
    return told


@pytest.mark.parametrize("settings", [{}, {"chunk": 3}, {"tile": 3}, {"compact": False, "chunk": 1}])
def test_done_only_grows_and_ends_at_all_lanes(settings, segmented):
    segmented(4)
    over = {"lr": [0.1, 0.2, 0.1], "beta": [0.5, 0.9], "seed": 2}
    _, groups = trained(bowl(), {"gd": gd, "heavy": momentum}, over, steps=8)
    told = told_of(groups, **settings)
    done = [progress.done for progress in told]
    assert done[0] == 0
    assert done == sorted(done)
    assert done[-1] == 2 * 2 + 2 * 2 * 2
    assert {progress.lanes for progress in told} == {12}
    assert {progress.groups for progress in told} == {2}
    assert len(set(done)) > 6
    by_group = [(progress.group, progress.label) for progress in told]
    assert list(dict.fromkeys(by_group)) == [(0, "gd"), (1, "heavy")]
    phases = list(dict.fromkeys((progress.group, progress.phase) for progress in told))
    assert phases == [(0, "compile"), (0, "run"), (1, "compile"), (1, "run")]


def test_a_part_of_the_steps_is_that_part_of_the_lanes(segmented):
    segmented(4)
    _, groups = trained(bowl(), gd, {"lr": [0.1, 0.2, 0.3], "seed": 2}, steps=8)
    done = [progress.done for progress in told_of(groups, tile=2)]
    assert list(dict.fromkeys(done)) == [step / 2 for step in range(13)]


@pytest.mark.parametrize("chunk", [2, 3, None])
@pytest.mark.parametrize("tile", [4, None])
def test_each_diverged_run_is_counted_once(chunk, tile, segmented):
    segmented(8)
    over = {"lr": [0.1, 1e9, 0.2, 1e8, 1e10], "seed": 3}
    _, groups = trained(bowl(), {"gd": gd}, over, steps=16)
    told = told_of(groups, chunk=chunk, tile=tile)
    assert told[-1].status == {"alive": 6, "diverged": 9}
    counts = [progress.status.get("diverged", 0) for progress in told]
    assert counts == sorted(counts)


def test_a_run_that_has_converged_is_neither_alive_nor_diverged(segmented):
    segmented(8)
    told = []
    over = {"lr": [0.25, 1e9, 0.0]}
    data = sweep(bowl(), gd, over, steps=32, stop=Stop(loss=1e-3), progress=told.append)
    np.testing.assert_array_equal(data["converged_at"] >= 0, [True, False, False])
    assert told[-1].status == {"alive": 1, "diverged": 1}


@pytest.mark.parametrize("rates", [[0.1, 0.2, 0.3, 1e9], [0.1, 0.2, 0.3, 0.4, 1e9]])
def test_places_that_no_lane_fills_are_not_counted(rates):
    told = []
    sweep(bowl(), gd, {"lr": rates}, steps=16, chunk=3, progress=told.append)
    assert told[-1].status == {"alive": len(rates) - 1, "diverged": 1}


def test_lanes_of_all_groups_are_counted_together():
    told = []
    sweep(bowl(), {"gd": gd, "heavy": momentum}, {"lr": [0.1, 1e9]}, steps=16, progress=told.append)
    assert told[-1].status == {"alive": 2, "diverged": 2}


def test_a_plain_function_is_done_tile_by_tile():
    groups = planned(lambda x, kind: x, {"x": np.arange(10.0), "kind": ["a", "b"]})
    told = told_of(groups, tile=4)
    assert list(dict.fromkeys(progress.done for progress in told)) == [0, 4, 8, 10, 14, 18, 20]
    assert told[-1].status == {}
