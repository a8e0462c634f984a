"""Fill values of missing results, in every place that uses them."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from gdlab import sweep
from gdlab.engine.distribute import FailedRunsError
from gdlab.engine.execute import Settings, execute
from gdlab.engine.fill_values import fill_array, fill_dtype, fill_missing, fill_value, host_dtype
from gdlab.engine.plan import plan
from gdlab.engine.read_store import open_store
from gdlab.engine.runner import Stopped
from gdlab.engine.sink import MemorySink
from gdlab.engine.space import space
from gdlab.engine.write_store import Store
from gdlab.rules import gd
from gdlab.types import Process
from tests.engine.engine_cases import bowl, builder, executed

CASES = [
    (np.float32, np.float32, np.nan),
    (np.float64, np.float64, np.nan),
    (np.complex64, np.complex64, np.nan),
    (ml_dtypes.bfloat16, ml_dtypes.bfloat16, np.nan),
    (np.int8, np.int8, -1),
    (np.int64, np.int64, -1),
    (bool, np.int32, -1),
    (np.uint8, np.int32, -1),
    (np.uint16, np.int32, -1),
    (np.uint32, np.int64, -1),
    (np.uint64, np.float64, -1),
]


@pytest.mark.parametrize(("dtype", "kept", "value"), CASES)
def test_fill_value_is_held_by_fill_dtype(dtype, kept, value):
    assert fill_dtype(dtype) == fill_value(dtype).dtype == fill_array((2,), dtype).dtype == kept
    np.testing.assert_array_equal(fill_array((2,), dtype).astype(complex), np.full(2, value, complex))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.uint32, np.int32])
def test_fill_dtype_holds_the_extremes_of_integers(dtype):
    extremes = np.array([0, 1]).astype(bool) if dtype is bool else np.array([np.iinfo(dtype).min, np.iinfo(dtype).max])
    np.testing.assert_array_equal(extremes.astype(dtype).astype(fill_dtype(dtype)), extremes.astype(int))


def test_fill_missing_changes_the_dtype_only_if_a_value_is_missing():
    values = np.array([[True, False], [True, True]])
    assert fill_missing(values, np.array([True, True])) is values
    filled = fill_missing(values, np.array([True, False]))
    assert filled.tolist() == [[1, 0], [-1, -1]]
    assert filled.dtype == np.int32


def test_host_dtype_widens_16_bit_floats_only():
    assert host_dtype(jnp.dtype(jnp.bfloat16)) == host_dtype(np.dtype(np.float16)) == np.float32
    assert host_dtype(np.dtype(np.float64)) == np.float64
    assert host_dtype(np.dtype(bool)) == np.bool_


class FailsAbove:
    """An executor whose tasks raise an exception for groups above 0."""

    _max_workers = 1

    def submit(self, fn, *args):
        from concurrent.futures import Future

        from gdlab.engine.messages import TaskFailed
        from gdlab.engine.worker import work

        future = Future()
        failed = fn is work and args[2].group > 0
        future.set_result(TaskFailed("it broke") if failed else fn(*args))
        return future


def above_one(x, kind):
    return {"flag": x > 1, "count": jnp.asarray(3, jnp.uint8), "value": x}


def test_failed_runs_error_fills_booleans_with_minus_one():
    """Regression: booleans of runs that failed were False."""
    from gdlab import evaluate

    with pytest.raises(FailedRunsError) as failed:
        evaluate(above_one, {"kind": ["a", "b"], "x": [1.0, 2.0]}, executor=FailsAbove())
    data = failed.value.data
    np.testing.assert_array_equal(data["flag"], [[0, 1], [-1, -1]])
    np.testing.assert_array_equal(data["count"], [[3, 3], [-1, -1]])
    np.testing.assert_array_equal(data["value"], [[1, 2], [np.nan, np.nan]])


@pytest.mark.parametrize("keep", ["memory", "store"])
def test_results_of_runs_that_were_not_run_are_fill_values(keep, tmp_path):
    points = space({"kind": ["a"], "x": np.arange(4.0)})
    groups = plan(points, builder(above_one, points.names))
    asked = []
    settings = Settings(tile=2, stop=lambda: asked.append(0) or True)
    if keep == "memory":
        sink = MemorySink()
        with pytest.raises(Stopped):
            execute(groups, sink, settings)
        found = sink.results[0]
    else:
        with Store(tmp_path, points) as store, pytest.raises(Stopped):
            execute(groups, store, settings)
        found = {name: values.values[0] for name, values in open_store(tmp_path).data_vars.items()}
    np.testing.assert_array_equal(found["flag"], [0, 0, -1, -1])
    np.testing.assert_array_equal(found["count"], [3, 3, -1, -1])
    np.testing.assert_array_equal(found["value"], [0, 1, np.nan, np.nan])


def counting(points):
    """A build of processes of eight steps that record booleans and end after `x` of them."""

    def build(values):
        return Process(
            start=lambda point: jnp.asarray(0, jnp.int32),
            begin=lambda point, index: (),
            step=lambda point, carry, shared, index: (carry + 1, shared, {"odd": index % 2 == 1}),
            check=lambda point, before, after, index: (jnp.minimum(after, 4), (before < 4) & (after >= 4)),
            status=lambda carry: {"alive": carry < 4},
            finish=lambda point, carry: {"end": point["x"]},
            steps=8,
            every=1,
            names=points.names,
        )

    return build


def test_records_of_runs_that_have_ended_are_fill_values(segmented):
    segmented(4)
    points = space({"x": [1.0, 2.0]})
    data = executed(points, plan(points, counting(points)))
    np.testing.assert_array_equal(data["odd"], [[0, 1, 0, 1, -1, -1, -1, -1]] * 2)


def test_probes_of_runs_that_have_ended_are_fill_values():
    probes = {"flag": lambda step: step.value > 0, "small": lambda step: jnp.asarray(7, jnp.uint8)}
    data = sweep(bowl(), gd, {"lr": [2.0**50]}, steps=4, probes=probes)
    assert data["diverged_at"].item() == 2
    np.testing.assert_array_equal(data["flag"], [[1, 1, 1, -1]])
    np.testing.assert_array_equal(data["small"], [[7, 7, 7, -1]])


def test_probe_of_uint32_is_refused_unless_a_wider_integer_exists():
    probes = {"bits": lambda step: jnp.asarray(2**32 - 1, jnp.uint32)}
    with pytest.raises(TypeError, match="a uint32 result needs float64 precision for its fill value"):
        sweep(bowl(), gd, {"lr": [0.1]}, steps=2, probes=probes)
    with jax.enable_x64(True):
        data = sweep(bowl(), gd, {"lr": [0.1]}, steps=2, probes=probes)
    np.testing.assert_array_equal(data["bits"], [[2**32 - 1] * 2])
