"""A config of an experiment run in a folder of the test's own, and its claims."""

from pathlib import Path

import pytest

import gdlab
from gdlab.config import load
from gdlab.experiment import run as experiment

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """`ran("baird", "size=fast")`: the results of a config, and its claims by name, once for a file of tests."""

    def run(slug, *changes):
        config = load(ROOT / "configs" / f"{slug}.yaml", changes)
        folder = tmp_path_factory.mktemp(slug)
        finished = experiment.run(experiment.prepare(config), folder, config_folder=ROOT / "configs", formats=("png",))
        assert not finished.troubles, finished.troubles
        return gdlab.open_results(finished.folder), {claim["name"]: claim for claim in finished.claims}

    return run


@pytest.fixture
def reproduced(tmp_path):
    """`reproduced("baird", "claims...=...")`: the claims of a config, with changes, by name."""

    def run(slug, *changes):
        config = load(ROOT / "configs" / f"{slug}.yaml", changes)
        finished = experiment.run(
            experiment.prepare(config), tmp_path, config_folder=ROOT / "configs", formats=("png",)
        )
        assert not finished.troubles, finished.troubles
        assert finished.figures
        return {claim["name"]: claim for claim in finished.claims}

    return run
