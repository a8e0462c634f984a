"""Runs of an earlier folder are reused if their values have the same types and bits."""

import numpy as np
import pytest

from gdlab.engine.plan import plan
from gdlab.engine.read_store import StoreError
from gdlab.engine.space import space
from gdlab.experiment.reuse import Earlier
from tests.engine.engine_cases import builder
from tests.engine.stored_runs import go


def planned(over):
    points = space(over)
    return points, plan(points, builder(lambda x: 2 * x, points.names))


def taken(folder, earlier, wanted):
    """For each run of the first wanted group, the run of the folder that is reused."""
    go(folder, planned(earlier))
    found = Earlier.of(folder, planned(wanted)[1])
    return None if found is None else found.reused[0].runs.tolist()


@pytest.mark.parametrize(
    ("earlier", "wanted", "reused"),
    [
        ([0.0, 1.0], [1.0, -0.0, 0.0], [1, -1, 0]),
        ([1, 2], [1.0, 2.0], None),
        ([1.0, 2.0], [2.0, np.float32(1.0)], [1, 0]),
        ([1.0], [np.nextafter(1, 2)], [0]),  # the same number in single precision
    ],
)
def test_earlier_find_reuses_numbers_that_are_equal_in_the_program(tmp_path, earlier, wanted, reused):
    assert taken(tmp_path, {"x": earlier}, {"x": wanted}) == reused


@pytest.mark.usefixtures("x64")
def test_earlier_find_distinguishes_adjacent_numbers_in_double_precision(tmp_path):
    assert taken(tmp_path, {"x": [1.0, 2.0]}, {"x": [np.nextafter(1, 2), 2.0]}) == [-1, 1]


@pytest.mark.parametrize(("earlier", "wanted"), [(True, 1), ((0.0,), (-0.0,)), ((1,), (1.0,)), ((1,), (True,))])
def test_earlier_find_distinguishes_static_values_by_type(tmp_path, earlier, wanted):
    points, groups = planned_static(wanted)
    go(tmp_path, planned_static(earlier))
    assert Earlier.of(tmp_path, groups) is None
    with pytest.raises(StoreError, match="holds the results of another experiment"):
        go(tmp_path, (points, groups), resume=True)


def planned_static(c):
    points = space({"c": [c], "x": [1.0, 2.0]})
    return points, plan(points, builder(lambda c, x: x + np.float32(np.sum(c)), points.names), ["c"])
