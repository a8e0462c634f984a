"""What is told to whoever watches."""

import numpy as np
import pytest
from engine_cases import bowl

from gdlab import evaluate, sweep
from gdlab.rules import gd, momentum


def test_done_only_grows_and_ends_at_all_lanes():
    told = []
    over = {"lr": [0.1, 0.2, 0.1], "beta": [0.5, 0.9], "seed": 2}
    sweep(bowl(), {"gd": gd, "heavy": momentum}, over, steps=8, chunk=3, progress=told.append)
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


@pytest.mark.parametrize("chunk", [2, 3, None])
def test_each_diverged_run_is_counted_once(chunk):
    told = []
    over = {"lr": [0.1, 1e9, 0.2, 1e8, 1e10], "seed": 3}
    data = sweep(bowl(), {"gd": gd}, over, steps=16, chunk=chunk, progress=told.append)
    diverged = int((data["diverged_at"] >= 0).sum())
    assert diverged == 9
    assert told[-1].status == {"alive": 15 - diverged, "diverged": diverged}
    counts = [progress.status.get("diverged", 0) for progress in told]
    assert counts == sorted(counts)


def test_lanes_that_only_pad_a_tile_are_not_counted():
    told = []
    sweep(bowl(), gd, {"lr": [0.1, 0.2, 0.3, 1e9]}, steps=16, chunk=3, progress=told.append)
    assert told[-1].status == {"alive": 3, "diverged": 1}
    sweep(bowl(), gd, {"lr": [0.1, 0.2, 0.3, 0.4, 1e9]}, steps=16, chunk=3, progress=told.append)
    assert told[-1].status == {"alive": 4, "diverged": 1}


def test_lanes_of_all_groups_are_counted_together():
    told = []
    sweep(bowl(), {"gd": gd, "heavy": momentum}, {"lr": [0.1, 1e9]}, steps=16, progress=told.append)
    assert told[-1].status == {"alive": 2, "diverged": 2}


def test_a_plain_function_is_done_tile_by_tile():
    told = []
    evaluate(lambda x, kind: x, {"x": np.arange(10.0), "kind": ["a", "b"]}, chunk=4, progress=told.append)
    steps = list(dict.fromkeys(progress.done for progress in told))
    assert steps == [0, 4, 8, 10, 14, 18, 20]
    assert told[-1].status == {}
