"""`forecast` predicts the layout, memory and time of each group."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import rules
from gdlab.engine import forecast as module
from gdlab.engine.execute import Settings, execute, run_mesh
from gdlab.engine.forecast import forecast, seconds_per_record
from gdlab.engine.layout import Layout
from gdlab.engine.sink import MemorySink
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
