"""The configs of the project run, and their generated files are up to date."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray
from matplotlib.image import imread

from gdlab.config import load, said_in
from gdlab.experiment.results import open_part, open_results

ROOT = Path(__file__).parents[2]
# These tests compile many programs.
LONG = (
    *("adamw", "adaptive_edge", "edge_of_stability", "filter_normalisation", "landscape_zoo", "lr_range_test"),
    "rule_zoo",
)
# The claims of configs with checks have tests of their own, in tests/experiments.
EXPERIMENTS = [path for path in sorted((ROOT / "configs").glob("*.yaml")) if said_in(path, ("checks",))["checks"]]
OTHERS = [path for path in sorted((ROOT / "configs").glob("*.yaml")) if path not in EXPERIMENTS]


def each(paths):
    marks = {**dict.fromkeys(LONG, pytest.mark.slow), "quickstart": pytest.mark.smoke}
    return [pytest.param(path, id=path.stem, marks=marks.get(path.stem, ())) for path in paths]


def figures(folder):
    return {path.name for path in (folder / "figures").iterdir()}


def on_two_devices(processes, home, config, *changes):
    """The results folder of a run of a config in a process with two devices."""
    done = processes.call(home, "run", config, *changes, "--devices", 2, "--quiet", devices=2)
    assert done.code == 0, done.err
    folder = home / done.out.strip()
    assert len(json.loads((folder / "provenance.json").read_text())["devices"]) == 2
    return folder


@pytest.mark.parametrize("config", each(OTHERS))
def test_a_few_steps_of_each_config(processes, tmp_path, config):
    axis = "batch_size=[8, null]" if "batch" in config.stem else "seed=2"
    folder = on_two_devices(processes, tmp_path, config, "train.steps=6", "sweep.lr=[0.01, 0.1]", f"sweep.{axis}")
    data = open_results(folder)
    assert (data["steps_taken"] == 6).any()
    asked = {name.split(".")[0] for name in figures(folder)}
    assert asked
    for name in asked:
        assert f"{name}.pdf" in figures(folder)
        picture = imread(folder / "figures" / f"{name}.png")
        assert min(picture.shape[:2]) > 400
        assert picture.std() > 0.05


def first_of(axis, values):
    """The first values of an axis: two of a learning rate, which share a program."""
    if isinstance(values, dict):
        ((spacing, (low, high, _)),) = values.items()
        return {spacing: [low, high, 2]}
    return 1 if isinstance(values, int) else values[: 2 if axis == "lr" else 1]


@pytest.mark.parametrize("config", each(EXPERIMENTS))
def test_a_few_steps_of_each_experiment(processes, tmp_path, config):
    sweep = {axis: first_of(axis, values) for axis, values in said_in(config, ("sweep",))["sweep"].items()}
    less = ("train.steps=4", f"sweep={json.dumps(sweep)}", "figures=[]", "checks=[]")
    data = open_results(on_two_devices(processes, tmp_path, config, *less))
    assert (data["steps_taken"] == 4).any()


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_each_size_of_an_experiment_is_a_config(path):
    for size in ("small", *(said_in(path, ("sizes",))["sizes"] or {})):
        assert load(path, [f"size={size}"]).config.size == size


def test_the_schema_for_editors_is_up_to_date():
    # In a separate process, where no test has registered a kind.
    words = [sys.executable, "-c", "from gdlab.cli import main; main()", "schema"]
    present = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    assert json.loads((ROOT / "docs" / "schema.json").read_text()) == present, "gdlab schema > docs/schema.json"


def test_the_page_of_rules_is_up_to_date():
    words = [sys.executable, "-c", "from gdlab.cli import main; main()", "list", "rules", "--markdown"]
    present = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert (ROOT / "docs" / "rules.md").read_text() == present, "gdlab list rules --markdown > docs/rules.md"


@pytest.mark.slow
def test_quickstart_twice_gives_the_same_bits_and_matches_the_readme(gdlab, tmp_path):
    folders = []
    for _ in range(2):
        result = gdlab("run", ROOT / "configs" / "quickstart.yaml", "--quiet")
        assert result.exit_code == 0, result.output
        folders.append(tmp_path / result.stdout.strip())
    first, second = (open_results(folder) for folder in folders)
    xarray.testing.assert_identical(first, second)
    xarray.testing.assert_identical(*(open_part(folder) for folder in folders))
    assert first["final_loss"].shape == (5, 25, 4)
    best = first["eval_accuracy"].median("seed").max("lr")
    assert (best > 0.95).all()
    assert figures(folders[0]) >= {"lr_sensitivity.png", "loss_curves.png", "landscape.png"}


@pytest.mark.slow
def test_a_rate_above_two_over_the_curvature_is_too_high(gdlab, tmp_path):
    result = gdlab("run", ROOT / "configs" / "learning_rate_too_high.yaml", "--quiet")
    data = open_results(tmp_path / result.stdout.strip()).sel(rule="gd")
    np.testing.assert_allclose(data["stable_lr"], 0.2)
    rates = data["lr"].values
    np.testing.assert_array_equal(data["diverged_at"].values >= 0, rates > 0.2 + 1e-9)
