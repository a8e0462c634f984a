"""`evaluate` with a folder: resumes after a stop, reads complete results, and never reads stale ones."""

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
def test_evaluate_resumes_a_stopped_call(tmp_path, monkeypatch):
    asked = []
    with pytest.raises(Stopped):
        gdlab.evaluate(height, OVER, folder=tmp_path, chunk=16, stop=lambda: len(asked) == 3 or asked.append(0))
    ran, run = [], Runner.run
    monkeypatch.setattr(Runner, "run", lambda self, runs, writer: (ran.append(len(runs)), run(self, runs, writer)))
    data = gdlab.evaluate(height, OVER, folder=tmp_path, chunk=16)
    assert len(ran) > 3
    assert sum(ran) == 156 - 4 * ran[0]  # four tiles were done when it stopped
    assert_same_bits(data, gdlab.evaluate(height, OVER, chunk=16).drop_attrs())


@pytest.mark.smoke
def test_evaluate_reads_complete_results_without_compiling(tmp_path, compilations):
    first = gdlab.evaluate(height, OVER, folder=tmp_path)
    before = compilations()
    assert_same_bits(gdlab.evaluate(height, OVER, folder=tmp_path), first)
    assert compilations() == before


def test_evaluate_computes_another_function_array_or_grid_again(tmp_path):
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


def test_evaluate_refuses_a_folder_with_an_executor(tmp_path):
    with pytest.raises(ValueError, match="give `folder` or `executor`, not both"):
        gdlab.evaluate(height, OVER, folder=tmp_path, executor=object())


def test_evaluate_computes_another_fixed_array_of_equal_repr_again(tmp_path):
    for place in (1000, 1500):
        weights = np.zeros(2000)
        weights[place] = place
        data = gdlab.evaluate(lambda x, w: x * w.sum(), {"x": [1.0]}, fixed={"w": weights}, folder=tmp_path)
        np.testing.assert_array_equal(data["value"], [place])
