"""`gdlab landscape`: other planes, runs and figures of finished results."""

import shutil

import numpy as np
import pytest

from gdlab.experiment.results import open_part, open_results


@pytest.fixture
def copied(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copied")


def test_landscape_without_options_follows_the_config(gdlab, copied):
    result = gdlab("landscape", copied, "--format", "png", "--quiet")
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == [str(copied / "figures" / "landscape.png")]
    assert not (copied / ".landscapes").exists()


def test_run_all_computes_a_plane_for_each_run(gdlab, copied):
    result = gdlab(
        "landscape", copied, "landscape", "landscape_grid", "--run", "all", "--points", "5,7", "--format", "png"
    )
    assert result.exit_code == 0, result.output
    own, data = open_part(copied, "landscapes-run-all-points-5,7"), open_results(copied).isel(seed=0)
    assert dict(own["loss"].sizes) == {"rule": 2, "lr": 4, "y": 7, "x": 5}
    assert list(own["rule"].values) == ["gd", "heavy"]
    np.testing.assert_array_equal(own["path_diverged"], data["diverged_at"] >= 0)
    shared = open_part(copied, "landscape-run-all-points-5,7")
    assert shared.sizes["run"] == 8
    np.testing.assert_allclose(shared["lr"].values.reshape(2, 4), np.tile(data["lr"], (2, 1)), rtol=1e-6)


@pytest.mark.parametrize(
    ("which", "rule", "lr"),
    [("0", "gd", 0), ("15", "heavy", 3), ("rule=heavy,lr=0.0012,seed=1", "heavy", 1), ("lr=0.1", "gd", 3)],
)
def test_run_selects_a_run_by_its_row_or_its_axes(gdlab, copied, which, rule, lr):
    result = gdlab("landscape", copied, "--run", which, "--points", "5", "--format", "png")
    assert result.exit_code == 0, result.output
    data = open_part(copied, f"landscape-run-{which}-points-5")
    assert list(data["rule"].values) == [rule]
    notice = "lr has no value 0.0012 in this sweep; the nearest value is 0.001" if "0.0012" in which else ""
    assert notice in result.stderr
    assert bool(notice) == ("has no value" in result.stderr)
    np.testing.assert_allclose(data["lr"], open_results(copied)["lr"][lr], rtol=1e-6)


@pytest.mark.slow
def test_other_planes_lines_and_spectra(gdlab, copied):
    words = ["--plane", "hessian", "--points", "5", "--lines", "3", "--normalise", "none", "--format", "png"]
    result = gdlab("landscape", copied, "surface_3d", "line_profile", "spectrum", "curvature_map", *words)
    assert result.exit_code == 0, result.output
    written = {line.rpartition("/")[2] for line in result.stdout.split()}
    variant = "-plane-hessian-points-5-normalise-none-lines-3"
    kinds = ("surface_3d", "line_profile", "spectrum", "curvature_map")
    assert written == {f"{kind}{variant}.png" for kind in kinds}
    assert open_part(copied, f"landscape{variant}").attrs["plane"] == "hessian"
    assert open_part(copied, f"lines{variant}").sizes["plane"] == 3
    assert "density" in open_part(copied, f"spectrum{variant}")


def test_exports_are_written_to_the_folder_of_the_figures(gdlab, copied):
    result = gdlab("landscape", copied, "--points", "5", "--vtk", "--movie", "gif", "--format", "png")
    assert result.exit_code == 0, result.output
    written = {line.rpartition("/")[2] for line in result.stdout.split()}
    stem = "landscape-points-5"
    assert written == {f"{stem}.png", f"{stem}.vtk", f"{stem}-paths.vtk", f"{stem}.gif"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["landskape"], "did you mean landscape?"),
        (["--plane", "round"], "landscape.plane"),
        (["--points", "1"], "landscape.points"),
        (["--run", "16"], "has no run number 16: they are 0 to 15"),
        (["--run", "worst"], "--run must be best, all, a row of runs.csv, or axes"),
        (["--run", "beta=0.5"], "there is no axis 'beta'"),
        (["--run", "rule=adam"], "rule has no value 'adam'; it has gd, heavy"),
        (["--run", "lr=much"], "lr must be a number, not 'much'"),
        (["--run", "lr=7"], "lr has no value 7 in this sweep; the nearest value is 0.1"),
        (["--run", "lr=nan"], "lr has no value nan in this sweep"),
        (["line_profile"], "landscape.normalise: filter scales parameters with two axes or more"),
    ],
)
def test_landscape_refuses_wrong_options(gdlab, copied, words, said):
    result = gdlab("landscape", copied, *words, "--quiet")
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_landscape_refuses_a_folder_without_results(gdlab, tmp_path):
    result = gdlab("landscape", tmp_path)
    assert result.exit_code == 2
    assert "holds no results" in result.stderr


def test_landscape_with_options_keeps_the_results_of_the_config(gdlab, copied):
    """Regression: `--run` overwrote the config's figure and surface."""
    figure = (copied / "figures" / "landscape.png").read_bytes()
    result = gdlab("landscape", copied, "--run", "15", "--points", "5", "--format", "png", "--quiet")
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == [str(copied / "figures" / "landscape-run-15-points-5.png")]
    assert (copied / "figures" / "landscape.png").read_bytes() == figure
    assert open_part(copied).sizes["x"] == 9
