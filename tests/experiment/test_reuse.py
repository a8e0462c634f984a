"""Runs are reused from an earlier folder if they are the same, and only then."""

import json
import shutil
import signal

import jax
import numpy as np
import pytest

import gdlab.figures  # noqa: F401  (fills the register)
from gdlab import config as configs
from gdlab import open_results
from gdlab.experiment import provenance
from tests.real_processes import CODE, CONFIG, SMALL, assert_same


@pytest.fixture
def again(home, uninterrupted):
    """A folder in which the config has been run, with an older name for its results folder."""
    shutil.copytree(uninterrupted, home / "results" / "kept" / "20200101-000000-earlier")
    return home


def newest(home):
    return max(path for path in (home / "results" / "kept").iterdir() if not path.is_symlink())


def run(processes, home, *words, **how):
    done = processes.call(home, "run", "c.yaml", *words, knobs=SMALL, events=home / "events", **how)
    segments = (home / "events").read_text().split().count("segment")
    (home / "events").unlink()
    return done, newest(home), segments


def test_the_same_config_runs_nothing_again(processes, again, uninterrupted):
    done, folder, segments = run(processes, again)
    assert done.code == 0, done.err
    assert "54 of 54 runs were reused from results/kept/20200101-000000-earlier; --fresh runs them all" in done.err
    assert segments == 0
    assert json.loads((folder / "provenance.json").read_text())["compile_seconds"] == 0
    assert_same(folder, uninterrupted)


def test_more_seeds_run_only_those_that_are_missing(processes, again, uninterrupted):
    done, folder, segments = run(processes, again, "sweep.seed=4")
    assert done.code == 0, done.err
    assert "54 of 72 runs were reused from" in done.err
    assert 0 < segments <= 2 * 2 * 4  # the last nine runs of each rule lie in two of its tiles
    data, before = open_results(folder), open_results(uninterrupted)
    for name in ("final_loss", "diverged_at", "loss", "position"):
        assert data[name].isel(seed=slice(3)).values.tobytes() == before[name].values.tobytes()
    done, fresh, _ = run(processes, again, "sweep.seed=4", "--fresh")
    assert done.code == 0, done.err
    assert "reused from" not in done.err
    for name, wanted in open_results(fresh).data_vars.items():
        np.testing.assert_allclose(data[name], wanted, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.slow
def test_more_rates_run_only_those_that_are_missing(processes, again, uninterrupted):
    before = open_results(uninterrupted)
    rates = [0.05, *before["lr"].values.tolist(), 2.0]
    done, folder, segments = run(processes, again, f"sweep.lr={rates}")
    assert done.code == 0, done.err
    assert "54 of 66 runs were reused from" in done.err
    assert segments > 0
    data = open_results(folder)
    assert data["lr"].values.tolist() == rates
    for name in ("final_loss", "diverged_at", "loss", "position"):
        assert data[name].isel(lr=slice(1, -1)).values.tobytes() == before[name].values.tobytes()
    assert (data["steps_taken"].isel(lr=0) == 8000).all()


def identity(folder, *words):
    """The identity of the config with a built-in problem in place of `code`."""
    text = CONFIG.replace("code: [mine.py]\n", "").replace("kind: cloud", "kind: linear_regression")
    (folder / "plain.yaml").write_text(text)
    return provenance.identity(configs.load(folder / "plain.yaml", words).config, folder)


OTHER = ["train.steps=7999", "train.batch_size=6", "train.stop.bound=1e9", "record.every=25", "record.probes=[]",
         "rules.heavy.beta=0.7", "precision=float64", "compute.chunk=8"]  # fmt: skip


@pytest.mark.parametrize("word", OTHER)
def test_identity_depends_on_what_changes_a_run(tmp_path, word):
    assert identity(tmp_path, word) != identity(tmp_path)


@pytest.mark.parametrize("word", ["name=other", "sweep.seed=7", "landscape={points: 9}", "figures=[loss_curves]"])
def test_identity_ignores_the_space_and_the_figures(tmp_path, word):
    assert identity(tmp_path, word) == identity(tmp_path)


@pytest.mark.parametrize("word", ["--fresh", "precision=float64"])
def test_a_changed_config_reuses_nothing(processes, again, word):
    assert_begins_to_run(processes, again, word)


def assert_begins_to_run(processes, home, *words):
    done, folder, _ = run(processes, home, *words, at=("segment", 1))
    assert done.code == -signal.SIGKILL, done
    assert json.loads((folder / "provenance.json").read_text())["earlier"] is None


def test_changed_code_reuses_nothing(processes, again):
    code = again / "mine.py"
    code.write_text(code.read_text().replace("default_rng(0)", "default_rng(1)"))
    assert_begins_to_run(processes, again)


def test_identity_depends_on_imported_modules(processes, home):
    (home / "mine.py").write_text(f"import sys\nsys.path.insert(0, {str(home)!r})\nimport shift_of_mine\n{CODE}")
    texts = ["SHIFT = 1.0", "SHIFT = 1.0", "SHIFT = 2.0"]
    identities = []
    for text in texts:
        (home / "shift_of_mine.py").write_text(text)
        _, folder, _ = run(processes, home, "--fresh", at=("metadata", 1))
        identities.append(json.loads((folder / "provenance.json").read_text())["identity"])
    assert identities[0] == identities[1] != identities[2]


@pytest.mark.parametrize(
    ("flag", "value"), [("jax_default_matmul_precision", "highest"), ("jax_default_prng_impl", "rbg")]
)
def test_identity_depends_on_the_settings_of_jax(tmp_path, flag, value):
    before, kept = identity(tmp_path), getattr(jax.config, flag)
    try:
        jax.config.update(flag, value)
        assert identity(tmp_path) != before
    finally:
        jax.config.update(flag, kept)
    assert identity(tmp_path) == before


def test_identity_depends_on_the_code_of_gdlab(tmp_path, monkeypatch):
    """A changed default of a rule is one such change."""
    package = tmp_path / "gdlab"
    (package / "rules").mkdir(parents=True)
    (package / "rules" / "momentum.py").write_text("def momentum(lr=0.1, beta=0.9): ...")
    monkeypatch.setattr(provenance, "_HERE", package)
    before = identity(tmp_path)
    assert identity(tmp_path) == before
    (package / "rules" / "momentum.py").write_text("def momentum(lr=0.1, beta=0.8): ...")
    assert identity(tmp_path) != before


def test_finished_runs_of_an_unfinished_folder_are_reused(processes, home, uninterrupted):
    done, torn, _ = run(processes, home, at=("manifest", 7))
    assert done.code == -signal.SIGKILL
    done, folder, segments = run(processes, home)
    assert done.code == 0, done.err
    assert f"24 of 54 runs were reused from results/kept/{torn.name}" in done.err
    assert segments > 0
    assert_same(folder, uninterrupted)


def test_runs_of_a_damaged_tile_are_not_reused(processes, again, uninterrupted):
    (again / "results/kept/20200101-000000-earlier/store.zarr/group_0/loss/c/1/0").write_bytes(b"no chunk at all")
    done, folder, segments = run(processes, again)
    assert done.code == 0, done.err
    assert "46 of 54 runs were reused from" in done.err
    assert 0 < segments <= 4
    assert_same(folder, uninterrupted)


@pytest.mark.parametrize(
    "name", ["provenance.json", "manifest.jsonl", "store.zarr/zarr.json", "store.zarr/group_0/zarr.json"]
)
def test_an_unreadable_folder_is_ignored(processes, again, name):
    (again / "results/kept/20200101-000000-earlier" / name).write_text("no JSON")
    if "group_0" in name:
        done, _, _ = run(processes, again)
        assert "27 of 54 runs were reused from" in done.err
    else:
        assert_begins_to_run(processes, again)


@pytest.mark.slow
def test_resume_of_a_run_that_reused_others(processes, again, uninterrupted):
    earlier = again / "results/kept/20200101-000000-earlier"
    (earlier / "store.zarr/group_0/loss/c/1/0").unlink()
    (earlier / "store.zarr/group_1/loss/c/1/0").unlink()
    done, folder, _ = run(processes, again, at=("segment", 2))
    assert done.code == -signal.SIGKILL
    copied = shutil.copytree(folder, again / "copied")
    done = processes.call(again, "resume", folder, knobs=SMALL, events=again / "events")
    assert done.code == 0, done.err
    assert (again / "events").read_text().split().count("segment") <= 8
    assert_same(folder, uninterrupted)
    done = processes.call(again, "resume", copied, knobs=SMALL)  # where the earlier folder is not beside it
    assert done.code == 0, done.err
    assert_same(copied, uninterrupted)
