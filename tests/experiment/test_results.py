"""The results folder of `gdlab run` holds the results of `gdlab.sweep`."""

import csv
import json
from datetime import datetime
from functools import partial

import jax
import numpy as np
import pytest
import xarray

from gdlab import log, problems, rules, sweep
from gdlab.experiment.results import make_folder, open_part, open_results
from gdlab.training.probes import grad_norm


def expected():
    makers = {"gd": rules.gd, "heavy": partial(rules.momentum, beta=0.8)}
    over = {"lr": log(1e-4, 1e-1, 4), "seed": 2}
    return sweep(problems.rosenbrock(), makers, over, steps=12, every=4, probes={"grad_norm": grad_norm})


@pytest.mark.smoke
def test_open_results_equals_the_sweep(finished):
    found = open_results(finished)
    found = found.drop_vars("stable_lr", errors="ignore")
    xarray.testing.assert_equal(found, expected()[list(found.data_vars)])
    assert set(found.data_vars) == set(expected().data_vars)


@pytest.mark.smoke
def test_xarray_opens_the_store_without_gdlab(finished):
    tree = xarray.open_datatree(finished / "store.zarr", engine="zarr", consolidated=False)
    assert {"group_0", "group_1", "landscape"} == set(tree.children)
    group = xarray.open_zarr(finished / "store.zarr", group="group_1", consolidated=False)
    assert group["loss"].dims == ("run", "step")
    assert group.attrs["static"] == {"rule": "heavy"}
    heavy = expected()["final_loss"].sel(rule="heavy")
    np.testing.assert_array_equal(group["final_loss"], heavy.transpose("seed", "lr").values.reshape(-1))
    np.testing.assert_array_equal(group["lr"], np.tile(heavy["lr"], 2))
    np.testing.assert_array_equal(group["seed"], np.repeat(heavy["seed"], 4))


def test_runs_csv_has_a_row_for_each_run(finished):
    rows = list(csv.DictReader((finished / "runs.csv").read_text().splitlines()))
    data = expected()
    assert len(rows) == 16
    for row in rows:
        run = data.sel(rule=row["rule"], seed=int(row["seed"])).sel(lr=float(row["lr"]), method="nearest")
        np.testing.assert_allclose(float(row["final_loss"]), run["final_loss"], rtol=1e-6)
        assert int(row["diverged_at"]) == run["diverged_at"]
    assert any(row["final_loss"] == "nan" for row in rows)


def test_provenance_has_versions_times_and_layout(finished):
    info = json.loads((finished / "provenance.json").read_text())
    assert info["status"] == "finished"
    assert info["versions"]["jax"] == jax.__version__
    assert info["precision"] == "float32"
    assert info["matmul_precision"] == "default"
    assert info["wall_seconds"] >= 0
    assert info["compile_seconds"] >= 0
    cut = ("group", "runs", "chunk", "batching", "tile", "segments", "devices")
    assert [tuple(group[name] for name in cut) for group in info["groups"]] == [
        (rule, 8, [2, 4], "vmap, shared batches, chunks of 8", 8, 1, 1) for rule in ("gd", "heavy")
    ]
    assert all(group["memory_bytes"] > 0 and group["run_seconds"] > 0 for group in info["groups"])
    assert {"command", "git_commit", "devices", "backend", "started", "xla_flags"} <= set(info)


def test_the_manifest_covers_every_run_once(finished):
    entries = [json.loads(line) for line in (finished / "manifest.jsonl").read_text().splitlines()]
    covered = [(entry["group"], run) for entry in entries for run in range(*entry["runs"])]
    assert sorted(covered) == [(group, run) for group in range(2) for run in range(8)]


def test_the_landscape_is_the_loss_with_the_paths_of_the_best_runs(finished):
    surface = open_part(finished)
    x, y = np.meshgrid(surface["x"], surface["y"])
    np.testing.assert_allclose(surface["loss"], (1 - x) ** 2 + 100 * (y - x**2) ** 2, rtol=1e-3, atol=1e-3)
    data = expected()
    for rule in ("gd", "heavy"):
        medians = data["final_loss"].where(data["diverged_at"] < 0, np.inf).sel(rule=rule).median("seed")
        lr = float(data["lr"][int(medians.values.argmin())])
        np.testing.assert_allclose(surface["lr"].sel(rule=rule), lr, rtol=1e-6)
        path = surface.sel(rule=rule)
        assert path["path_x"][0] == np.float32(-1.2)
        loss = data["loss"].sel(rule=rule, seed=0).sel(lr=lr, method="nearest")
        np.testing.assert_allclose(path["path_loss"][[0, 4, 8]], loss, rtol=1e-5)


def test_two_runs_of_a_config_are_equal_bit_for_bit(gdlab, write, tmp_path):
    write()
    folders = []
    for _ in range(2):
        result = gdlab("run", "c.yaml", "--quiet", "figures=[]", "landscape=null")
        assert result.exit_code == 0, result.output
        folders.append(tmp_path / result.stdout.strip())
    assert folders[0] != folders[1]
    assert (tmp_path / "results" / "small" / "latest").resolve() == folders[1]
    xarray.testing.assert_identical(open_results(folders[0]), open_results(folders[1]))
    assert (folders[0] / "runs.csv").read_bytes() == (folders[1] / "runs.csv").read_bytes()


def test_make_folder_twice_within_a_second(tmp_path):
    now = datetime(2026, 1, 2, 3, 4, 5)
    names = [make_folder(tmp_path, "x", "abc", now).name for _ in range(3)]
    assert names == ["20260102-030405-abc", "20260102-030405-abc-2", "20260102-030405-abc-3"]
    assert (tmp_path / "x" / "latest").resolve().name == names[-1]


def test_precision_float64_of_the_config(gdlab, write, tmp_path):
    write()
    result = gdlab("run", "c.yaml", "--quiet", "precision=float64", "figures=[lr_sensitivity]", "landscape=null")
    assert result.exit_code == 0, result.output
    data = open_results(tmp_path / result.stdout.strip())
    assert data["final_loss"].dtype == np.float64
    lr, point = float(data["lr"][0]), np.array([-1.2, 1.0])
    for _ in range(12):
        x, y = point
        point = point - lr * np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])
    loss = (1 - point[0]) ** 2 + 100 * (point[1] - point[0] ** 2) ** 2
    np.testing.assert_allclose(data["final_loss"].sel(rule="gd", seed=0)[0], loss, rtol=1e-13)


def test_a_problem_of_the_user_with_a_start_that_is_not_finite(gdlab, write, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import jax.numpy as jnp\n"
        "import gdlab\n"
        "from gdlab import register\n\n\n"
        "@register.problem('log-wall')\n"
        "def wall(edge: float = 0.0):\n"
        "    return gdlab.Problem(init=lambda key: jnp.ones(()), loss=lambda x, batch: jnp.log(x - edge) ** 2)\n"
    )
    write("problem: {kind: rosenbrock}", "problem: {kind: log-wall}\ncode: [mine.py]")
    result = gdlab(
        "run", "c.yaml", "--quiet", "sweep={lr: [0.1], problem.edge: [0.0, 2.0]}", "landscape=null", "figures=[]"
    )
    assert result.exit_code == 0, result.output
    data = open_results(tmp_path / result.stdout.strip())
    np.testing.assert_array_equal(data["diverged_at"].sel(rule="gd", lr=0.1, seed=1), [-1, 0])


@pytest.mark.parametrize("plane", ["pca", "random"])
def test_a_sweep_in_which_all_runs_diverged_is_not_a_failure(gdlab, write, tmp_path, plane):
    write("problem: {kind: rosenbrock}", "problem: {kind: logistic_regression, data: wine}")
    words = ["sweep.lr=[1e38]", "train.stop.bound=1.0", f"landscape.plane={plane}", "--quiet"]
    result = gdlab("run", "c.yaml", *words)
    assert result.exit_code == 0, result.output
    assert "no landscape: every run of every rule diverged" in result.stderr
    folder = tmp_path / result.stdout.strip()
    assert (open_results(folder)["diverged_at"] >= 0).all()
    assert (folder / "figures" / "lr_sensitivity.png").exists()
    assert not (folder / "figures" / "landscape.png").exists()


@pytest.mark.slow
def test_an_exact_plane_shows_the_longest_run_of_a_diverged_rule(gdlab, write, tmp_path):
    write()
    result = gdlab("run", "c.yaml", "sweep.lr=[30.0, 0.1, 1.0]", "--quiet")
    assert result.exit_code == 0, result.output
    folder = tmp_path / result.stdout.strip()
    surface, data = open_part(folder), open_results(folder)
    assert surface["path_diverged"].all()
    for rule in ("gd", "heavy"):
        lasted = data["steps_taken"].sel(rule=rule, seed=0)
        np.testing.assert_allclose(surface["lr"].sel(rule=rule), lasted["lr"][int(lasted.values.argmax())])
