"""Fixtures that run the config of an experiment in a temporary folder and return its claims."""

from pathlib import Path

import pytest

import gdlab
from gdlab.config import load
from gdlab.experiment import run as experiment

ROOT = Path(__file__).parents[2]


def run_config(slug, changes, folder):
    """Run `configs/SLUG.yaml` with overrides; return the results folder and the claims by name."""
    config = load(ROOT / "configs" / f"{slug}.yaml", changes)
    finished = experiment.run(experiment.prepare(config), folder, config_folder=ROOT / "configs", formats=("png",))
    assert not finished.failures, finished.failures
    assert finished.figures
    return finished.folder, {claim["name"]: claim for claim in finished.claims}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """`ran("baird", "size=fast")`: the results of a config and its claims by name, for all tests of a module."""

    def run(slug, *changes):
        folder, claims = run_config(slug, changes, tmp_path_factory.mktemp(slug))
        return gdlab.open_results(folder), claims

    return run


@pytest.fixture
def reproduced(tmp_path):
    """`reproduced("baird", "checks.0.gamma=0.95")`: the claims by name; the results folder is in `tmp_path`."""
    return lambda slug, *changes: run_config(slug, changes, tmp_path)[1]
