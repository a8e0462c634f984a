"""Results are never mixed with those of other data, code or configs."""

import shutil

import numpy as np
import pytest

from gdlab import config as configs
from gdlab import open_results, register
from gdlab.errors import Halted
from gdlab.experiment import provenance
from gdlab.experiment import run as experiment

CONFIG = """\
name: fit
code: [mine.py]
problem: {kind: points_of_a_file}
rules: {gd: {kind: gd}, heavy: {kind: momentum}}
sweep: {lr: [0.1, 0.2]}
train: {steps: 4}
figures: []
"""
CODE = """\
from pathlib import Path

import jax.numpy as jnp
import numpy as np

import gdlab
from gdlab import register


@register.problem("points_of_a_file")
def points_of_a_file():
    points = np.loadtxt(Path(__file__).parent / "points.csv", dtype=np.float32)
    return gdlab.Problem(
        init=lambda key: jnp.zeros(2), loss=lambda x, batch: ((x[None] - CLOSED) ** 2).mean(), data=None
    )
"""
CLOSED_OVER = CODE.replace("CLOSED", "jnp.asarray(points)")
AS_BATCH = CODE.replace("CLOSED", "batch").replace("data=None", "data=points")
# More than NumPy prints of an array.
POINTS = np.random.default_rng(0).normal(size=(2000, 2)).astype(np.float32)


@pytest.fixture(params=[CLOSED_OVER, AS_BATCH], ids=["closed_over", "as_batch"])
def command(request, gdlab, tmp_path):
    """The command line in a folder with a config whose problem reads a file."""
    (tmp_path / "c.yaml").write_text(CONFIG)
    (tmp_path / "mine.py").write_text(request.param)
    np.savetxt(tmp_path / "points.csv", POINTS)
    yield gdlab
    register.problems.pop("points_of_a_file", None)


def change_a_point(folder):
    other = POINTS.copy()
    other[1000, 1] += 5000
    np.savetxt(folder / "points.csv", other)
    return other


def folders(home):
    return sorted(path for path in (home / "results" / "fit").iterdir() if not path.is_symlink())


def ran(gdlab, home):
    before = folders(home) if (home / "results" / "fit").exists() else []
    result = gdlab("run", "c.yaml", "--quiet", "--format", "png")
    assert result.exit_code == 0, result.output
    (folder,) = [path for path in folders(home) if path not in before]
    return folder, result


def assert_refused(result, *words):
    assert result.exit_code == 2, result.output
    assert all(word in result.stderr for word in words), result.stderr
    assert "Traceback" not in result.stderr


def gd_by_numpy(points, lr, steps=4):
    x = np.zeros(2)
    for _ in range(steps):
        x -= lr * 2 * (x - points.mean(axis=0)) / 2
    return ((x - points.astype(float)) ** 2).mean()


def test_run_reuses_nothing_of_other_data(command, tmp_path):
    ran(command, tmp_path)
    _, again = ran(command, tmp_path)
    assert "4 of 4 runs were reused from" in again.stderr
    points = change_a_point(tmp_path)
    folder, result = ran(command, tmp_path)
    assert "reused from" not in result.stderr
    found = open_results(folder)["final_loss"].sel(rule="gd").values.ravel()
    np.testing.assert_allclose(found, [gd_by_numpy(points, lr) for lr in (0.1, 0.2)], rtol=1e-4)


def test_resume_refuses_other_data(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prepared, asked = experiment.prepare(configs.load(tmp_path / "c.yaml")), []
    stop = lambda: len(asked) == 1 or asked.append(0)  # after the first group
    with pytest.raises(Halted):
        experiment.run(prepared, tmp_path / "results", config_folder=tmp_path, running=experiment.Running(stop=stop))
    (folder,) = folders(tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}
    assert (folder / "store.zarr" / "group_0").exists()
    change_a_point(tmp_path)
    assert_refused(
        command("resume", folder), f"{folder} holds results of other data", "a data file, for example", "gdlab run"
    )
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}
    assert after == before
    np.savetxt(tmp_path / "points.csv", POINTS)
    assert command("resume", folder, "--quiet", "--format", "png").exit_code == 0


def test_changed_code_is_refused_before_it_is_executed(command, tmp_path):
    folder, _ = ran(command, tmp_path)
    file = tmp_path / "mine.py"
    file.write_text(f"{file.read_text()}\n(Path(__file__).parent / 'executed').touch()\n")
    for words in (("resume",), ("landscape",), ("plot", "lr_sensitivity")):
        result = command(words[0], folder, *words[1:])
        assert_refused(result, f"{file} has changed since the runs of {folder} began", "so it is not executed")
    assert not (tmp_path / "executed").exists()


def test_landscape_refuses_other_data(command, tmp_path):
    folder, _ = ran(command, tmp_path)
    words = ("landscape", folder, "--points", "5", "--quiet", "--format", "png")
    assert command(*words).exit_code == 0
    change_a_point(tmp_path)
    assert_refused(command(*words), f"{folder} holds results of other data")


@pytest.fixture
def edited(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "edited")
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("rosenbrock", "himmelblau"))
    return folder


@pytest.mark.parametrize("words", [("resume",), ("landscape",), ("plot", "loss_curves"), ("plot", "landscape")])
def test_an_edited_config_is_refused(gdlab, edited, words):
    before = {path: path.read_bytes() for path in edited.rglob("*") if path.is_file() and path.name != ".lock"}
    result = gdlab(words[0], edited, *words[1:])
    assert_refused(result, f"{edited / 'config.yaml'} was changed after its runs began", "gdlab run")
    after = {path: path.read_bytes() for path in edited.rglob("*") if path.is_file() and path.name != ".lock"}
    assert after == before


@pytest.mark.parametrize("word", ["show", "best"])
def test_show_and_best_warn_of_an_edited_config(gdlab, edited, finished, word):
    result = gdlab(word, edited)
    assert result.exit_code == 0, result.output
    assert f"{edited / 'config.yaml'} was changed after its runs began" in result.stderr
    assert gdlab(word, finished).stderr == ""


def test_identity_ignores_modules_that_other_code_loaded(tmp_path, monkeypatch):
    """For example `gdlab reproduce` loads more modules than `gdlab run`."""
    (tmp_path / "c.yaml").write_text(
        "name: plain\nproblem: {kind: rosenbrock}\nrules: {gd: {kind: gd}}\nsweep: {lr: [0.1]}\ntrain: {steps: 1}\n"
    )
    (tmp_path / "a_module_of_others.py").write_text("")
    loaded = configs.load(tmp_path / "c.yaml").config
    before = provenance.identity(loaded, tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    import a_module_of_others  # noqa: F401

    import gdlab.bench.table
    import gdlab.experiment.reproduce  # noqa: F401

    assert provenance.identity(loaded, tmp_path) == before
