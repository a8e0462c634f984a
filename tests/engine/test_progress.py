"""The progress reports of an execution."""

import numpy as np
import pytest

from gdlab import Stop, sweep
from gdlab.engine.execute import Settings, execute
from gdlab.engine.sink import MemorySink
from gdlab.rules import gd, momentum
from tests.engine.engine_cases import bowl, planned, trained


def reports_of(groups, **settings):
    reports = []
    execute(groups, MemorySink(), Settings(progress=reports.append, **settings))
    return reports


@pytest.mark.parametrize("settings", [{}, {"chunk": 3}, {"tile": 3}, {"compact": False, "chunk": 1}])
def test_progress_done_grows_to_the_number_of_runs(settings, segmented):
    segmented(4)
    over = {"lr": [0.1, 0.2, 0.1], "beta": [0.5, 0.9], "seed": 2}
    _, groups = trained(bowl(), {"gd": gd, "heavy": momentum}, over, steps=8)
    reports = reports_of(groups, **settings)
    done = [progress.done for progress in reports]
    assert done[0] == 0
    assert done == sorted(done)
    assert done[-1] == 2 * 2 + 2 * 2 * 2
    assert {progress.runs for progress in reports} == {12}
    assert {progress.groups for progress in reports} == {2}
    assert len(set(done)) > 6
    by_group = [(progress.group, progress.label) for progress in reports]
    assert list(dict.fromkeys(by_group)) == [(0, "gd"), (1, "heavy")]
    phases = list(dict.fromkeys((progress.group, progress.phase) for progress in reports))
    assert phases == [(0, "compile"), (0, "run"), (1, "compile"), (1, "run")]


def test_progress_counts_a_run_in_proportion_to_its_steps(segmented):
    segmented(4)
    _, groups = trained(bowl(), gd, {"lr": [0.1, 0.2, 0.3], "seed": 2}, steps=8)
    done = [progress.done for progress in reports_of(groups, tile=2)]
    assert list(dict.fromkeys(done)) == [step / 2 for step in range(13)]


@pytest.mark.parametrize("chunk", [2, 3, None])
@pytest.mark.parametrize("tile", [4, None])
def test_progress_counts_each_diverged_run_once(chunk, tile, segmented):
    segmented(8)
    over = {"lr": [0.1, 1e9, 0.2, 1e8, 1e10], "seed": 3}
    _, groups = trained(bowl(), {"gd": gd}, over, steps=16)
    reports = reports_of(groups, chunk=chunk, tile=tile)
    assert reports[-1].status == {"alive": 6, "diverged": 9}
    counts = [progress.status.get("diverged", 0) for progress in reports]
    assert counts == sorted(counts)


def test_progress_counts_a_converged_run_as_neither_alive_nor_diverged(segmented):
    segmented(8)
    reports = []
    over = {"lr": [0.25, 1e9, 0.0]}
    data = sweep(bowl(), gd, over, steps=32, stop=Stop(loss=1e-3), progress=reports.append)
    np.testing.assert_array_equal(data["converged_at"] >= 0, [True, False, False])
    assert reports[-1].status == {"alive": 1, "diverged": 1}


@pytest.mark.parametrize("rates", [[0.1, 0.2, 0.3, 1e9], [0.1, 0.2, 0.3, 0.4, 1e9]])
def test_progress_does_not_count_empty_slots(rates):
    reports = []
    sweep(bowl(), gd, {"lr": rates}, steps=16, chunk=3, progress=reports.append)
    assert reports[-1].status == {"alive": len(rates) - 1, "diverged": 1}


def test_progress_adds_up_the_runs_of_all_groups():
    reports = []
    sweep(bowl(), {"gd": gd, "heavy": momentum}, {"lr": [0.1, 1e9]}, steps=16, progress=reports.append)
    assert reports[-1].status == {"alive": 2, "diverged": 2}


def test_progress_of_a_plain_function_grows_by_tiles():
    groups = planned(lambda x, kind: x, {"x": np.arange(10.0), "kind": ["a", "b"]})
    reports = reports_of(groups, tile=4)
    assert list(dict.fromkeys(progress.done for progress in reports)) == [0, 4, 8, 10, 14, 18, 20]
    assert reports[-1].status == {}
