"""What `evaluate` keeps in a folder: gone on with after a stop, read when it is all there, never stale."""

import jax.numpy as jnp
import numpy as np
import pytest

import gdlab
from gdlab.engine import layout
from gdlab.engine.execute import Stopped
from gdlab.engine.runner import Runner
from tests.engine.engine_cases import assert_same_bits

MATRIX = np.random.default_rng(0).normal(size=(50, 50)).astype(np.float32)
OVER = {"y": np.linspace(0, 1, 12), "x": np.linspace(0, 2, 13)}


def height(x, y):
    return {"loss": jnp.sum(jnp.asarray(MATRIX) @ jnp.full(50, x)) + y}


@pytest.fixture
def short_tiles(monkeypatch):
    monkeypatch.setattr(layout, "TILE", 1e5)


@pytest.mark.usefixtures("short_tiles")
def test_a_call_that_was_stopped_goes_on_from_there(tmp_path, monkeypatch):
    asked = []
    with pytest.raises(Stopped):
        gdlab.evaluate(height, OVER, folder=tmp_path, chunk=16, stop=lambda: len(asked) == 3 or asked.append(0))
    ran, run = [], Runner.run
    monkeypatch.setattr(Runner, "run", lambda self, lanes, landing: (ran.append(len(lanes)), run(self, lanes, landing)))
    data = gdlab.evaluate(height, OVER, folder=tmp_path, chunk=16)
    assert len(ran) > 3
    assert sum(ran) == 156 - 4 * ran[0]  # four tiles were done when it stopped
    assert_same_bits(data, gdlab.evaluate(height, OVER, chunk=16).drop_attrs())


@pytest.mark.smoke
def test_what_is_all_there_is_not_run_again(tmp_path, compilations):
    first = gdlab.evaluate(height, OVER, folder=tmp_path)
    before = compilations()
    assert_same_bits(gdlab.evaluate(height, OVER, folder=tmp_path), first)
    assert compilations() == before


def test_another_function_or_array_or_grid_is_not_taken_for_it(tmp_path):
    def scaled(scale):
        matrix = jnp.asarray(scale * MATRIX)
        return lambda x, y: {"loss": jnp.sum(matrix @ jnp.full(50, x)) + y}

    for fn, over in [
        (scaled(1), OVER),
        (scaled(2), OVER),
        (scaled(1), OVER | {"x": np.linspace(0, 3, 13)}),
        (lambda x, y: {"loss": x * y}, OVER),
    ]:
        kept = gdlab.evaluate(fn, over, folder=tmp_path)
        assert_same_bits(kept, gdlab.evaluate(fn, over).drop_attrs())
    assert len(list(tmp_path.iterdir())) == 4


def test_a_folder_and_an_executor_exclude_each_other(tmp_path):
    with pytest.raises(ValueError, match="give only one"):
        gdlab.evaluate(height, OVER, folder=tmp_path, executor=object())


def test_another_fixed_array_that_prints_alike_is_not_taken_for_it(tmp_path):
    for place in (1000, 1500):
        weights = np.zeros(2000)
        weights[place] = place
        data = gdlab.evaluate(lambda x, w: x * w.sum(), {"x": [1.0]}, fixed={"w": weights}, folder=tmp_path)
        np.testing.assert_array_equal(data["value"], [place])
