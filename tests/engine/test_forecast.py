"""`forecast` predicts the layout, memory and time of each group."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zarr

from gdlab import rules
from gdlab.engine import forecast as module
from gdlab.engine.execute import Settings, execute, run_mesh
from gdlab.engine.forecast import forecast, seconds_per_record, stored_bytes
from gdlab.engine.layout import Layout
from gdlab.engine.sink import MemorySink
from gdlab.engine.space import space
from gdlab.engine.write_store import Store
from tests.engine.engine_cases import bowl, planned, trained


@pytest.fixture(scope="module")
def groups():
    over = {"lr": np.linspace(0.1, 0.4, 20), "seed": 3}
    return trained(bowl(), {"gd": rules.gd, "heavy": rules.momentum}, over, steps=20)[1]


def test_forecast_has_the_layout_and_runs_of_the_execution(groups):
    found = forecast(groups, jax.devices(), Settings(chunk=4))
    timings = execute(groups, MemorySink(), Settings(chunk=4))
    assert [(one.label, one.runs, one.layout) for one in found] == [(t.label, t.runs, t.layout) for t in timings]


def test_forecast_scales_the_time_of_a_record_to_the_group(groups, monkeypatch):
    monkeypatch.setattr(module, "seconds_per_record", lambda group, layout, mesh: 0.25)
    assert [one.seconds for one in forecast(groups, jax.devices())] == [0.25 * 60 * 20] * 2


def test_forecast_of_a_plain_function_has_no_time():
    (one,) = forecast(planned(lambda x: x * jnp.ones(1000), {"x": np.arange(8.0)}), jax.devices())
    assert np.isnan(one.seconds)
    assert one.memory >= 8 * 1000 * 4  # the memory of the results


@pytest.mark.parametrize("layout", [Layout(1, 64, 60, 20, 1), Layout(2, 24, 60, 20, 1), Layout(2, 40, 60, 5, 4)])
def test_seconds_per_record_times_any_layout(layout, groups):
    assert 0 < seconds_per_record(groups[0], layout, run_mesh()) < 1


PROBES = {
    "position": lambda step: step.params,
    "is_small": lambda step: step.value < 1,  # a boolean, kept with a fill value of -1
    "byte": lambda step: jnp.uint8(3),
    "half": lambda step: step.value.astype(jnp.bfloat16),
    "matrix": lambda step: jnp.outer(step.params, step.params).astype(jnp.float16),
}


def sizes_in_store(folder, index):
    """The uncompressed bytes of the arrays of a group."""
    group = zarr.open_group(folder / "store.zarr", mode="r")[f"group_{index}"]
    return sum(array.nbytes for _, array in group.arrays())


@pytest.mark.parametrize("every", [1, 3, None])
@pytest.mark.parametrize("double", [False, True])
def test_stored_bytes_equals_the_arrays_of_a_store(every, double, tmp_path):
    with jax.enable_x64(double):
        over = {"lr": [0.1, 0.2, 0.3], "seed": 2, "rules.heavy.beta": [0.5, 0.9]}
        settings = {"steps": 20, "every": every, "probes": PROBES if every else {}}
        points, groups = trained(bowl(), {"gd": rules.gd, "heavy": rules.momentum}, over, **settings)
        with Store(tmp_path, points) as store:
            execute(groups, store)
    assert [stored_bytes(group) for group in groups] == [sizes_in_store(tmp_path, n) for n in range(2)]


def test_stored_bytes_of_a_plain_function_equals_the_arrays_of_a_store(tmp_path):
    over = {"x": np.arange(5.0)}
    groups = planned(lambda x: {"a": jnp.ones((3, 4)) * x, "b": x > 2, "c": jnp.int8(1)}, over)
    with Store(tmp_path, space(over)) as store:
        execute(groups, store)
    assert [stored_bytes(group) for group in groups] == [sizes_in_store(tmp_path, 0)] == [5 * (12 * 4 + 1 + 1 + 8)]
