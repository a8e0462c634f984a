"""gdlab landscape: other planes, other runs and other figures of results that are there."""

import shutil

import numpy as np
import pytest

from gdlab.experiment.results import open_part, open_results


@pytest.fixture
def copied(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copied")


def test_by_default_what_the_config_says(gdlab, copied):
    result = gdlab("landscape", copied, "--format", "png", "--quiet")
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == [str(copied / "figures" / "landscape.png")]
    assert not (copied / ".landscapes").exists()


def test_every_run_on_a_plane_of_its_own(gdlab, copied):
    result = gdlab(
        "landscape", copied, "landscape", "landscape_grid", "--run", "all", "--points", "5,7", "--format", "png"
    )
    assert result.exit_code == 0, result.output
    own, data = open_part(copied, "landscapes"), open_results(copied).isel(seed=0)
    assert dict(own["loss"].sizes) == {"rule": 2, "lr": 4, "y": 7, "x": 5}
    assert list(own["rule"].values) == ["gd", "heavy"]
    np.testing.assert_array_equal(own["path_diverged"], data["diverged_at"] >= 0)
    shared = open_part(copied)
    assert shared.sizes["run"] == 8
    np.testing.assert_allclose(shared["lr"].values.reshape(2, 4), np.tile(data["lr"], (2, 1)), rtol=1e-6)


@pytest.mark.parametrize(
    ("which", "rule", "lr"),
    [("0", "gd", 0), ("15", "heavy", 3), ("rule=heavy,lr=0.0012,seed=1", "heavy", 1), ("lr=0.1", "gd", 3)],
)
def test_one_run_by_its_row_or_its_axes(gdlab, copied, which, rule, lr):
    result = gdlab("landscape", copied, "--run", which, "--points", "5", "--format", "png")
    assert result.exit_code == 0, result.output
    data = open_part(copied)
    assert list(data["rule"].values) == [rule]
    np.testing.assert_allclose(data["lr"], open_results(copied)["lr"][lr], rtol=1e-6)


@pytest.mark.slow
def test_other_planes_lines_and_spectra(gdlab, copied):
    words = ["--plane", "hessian", "--points", "5", "--lines", "3", "--normalise", "none", "--format", "png"]
    result = gdlab("landscape", copied, "surface_3d", "line_profile", "spectrum", "curvature_map", *words)
    assert result.exit_code == 0, result.output
    written = {line.rpartition("/")[2] for line in result.stdout.split()}
    assert written == {"surface_3d.png", "line_profile.png", "spectrum.png", "curvature_map.png"}
    assert open_part(copied).attrs["plane"] == "hessian"
    assert open_part(copied, "lines").sizes["plane"] == 3
    assert "density" in open_part(copied, "spectrum")


def test_exports_lie_beside_the_figures(gdlab, copied):
    result = gdlab("landscape", copied, "--points", "5", "--vtk", "--movie", "gif", "--format", "png")
    assert result.exit_code == 0, result.output
    written = {line.rpartition("/")[2] for line in result.stdout.split()}
    assert written == {"landscape.png", "landscape.vtk", "landscape-paths.vtk", "landscape.gif"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["landskape"], "did you mean landscape?"),
        (["--plane", "round"], "landscape.plane"),
        (["--points", "1"], "landscape.points"),
        (["--run", "16"], "has no run number 16: they are 0 to 15"),
        (["--run", "worst"], "--run is best, all, a row of runs.csv, or axes"),
        (["--run", "beta=0.5"], "there is no axis 'beta'"),
        (["--run", "rule=adam"], "rule is never 'adam'; it is gd, heavy"),
        (["--run", "lr=much"], "lr is a number, not 'much'"),
    ],
)
def test_what_can_not_be_is_said(gdlab, copied, words, said):
    result = gdlab("landscape", copied, *words, "--quiet")
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_folder_without_results_is_said(gdlab, tmp_path):
    result = gdlab("landscape", tmp_path)
    assert result.exit_code == 2
    assert "holds no results" in result.stderr
