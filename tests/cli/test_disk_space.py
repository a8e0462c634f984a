"""Runs whose results do not fit on the disk are refused before anything is created."""

import json
import shutil

import pytest
import zarr

from gdlab.experiment.disk import disk_space, in_units

GIB = 2**30


@pytest.fixture
def free(monkeypatch):
    """A function that sets the number of free bytes; it returns the list of folders that are asked for."""

    def set_to(count):
        asked = []

        def usage(path):
            asked.append(path)
            return shutil._ntuple_diskusage(10 * count, 9 * count, count)

        monkeypatch.setattr(shutil, "disk_usage", usage)
        return asked

    return set_to


@pytest.mark.parametrize("command", [("run",), ("run", "--dry-run")])
def test_run_refuses_results_that_do_not_fit_and_creates_nothing(command, gdlab, write, tmp_path, free):
    """1e6 runs of 1e5 records of 4 bytes each."""
    write(text="name: small\nproblem: {kind: rosenbrock}\nrules: {gd: {kind: gd}}\ntrain: {steps: 100000}\n"
               "sweep: {lr: {log: [1e-4, 1, 1000]}, seed: 1000}\n")  # fmt: skip
    asked = free(300 * GIB)
    result = gdlab(*command, "c.yaml", "--out", "some/where")
    assert result.exit_code == 2, result.output
    assert "the disk is too small: the results take up to 372.6 GiB; " in result.output
    assert " has 300.0 GiB free. Record less often (record.every), drop probes" in result.output
    assert "choose a folder on another disk (--out)" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["c.yaml"]
    assert asked == [tmp_path]


def test_run_starts_if_the_results_just_fit(gdlab, write, tmp_path, free):
    write()
    printed = gdlab("run", "c.yaml", "--dry-run")
    assert printed.exit_code == 0, printed.output
    assert not (tmp_path / "results").exists()
    free(10**12)
    assert gdlab("run", "c.yaml", "landscape=null", "figures=[]").exit_code == 0
    folder = tmp_path / "results" / "small" / "latest"
    groups = [group for _, group in zarr.open_group(folder / "store.zarr", mode="r").groups()]
    needed = sum(array.nbytes for group in groups for _, array in group.arrays())
    assert f"the results take up to {in_units(needed)}; " in printed.stdout
    shutil.rmtree(tmp_path / "results")
    free(needed - 1)
    assert gdlab("run", "c.yaml", "landscape=null", "figures=[]").exit_code == 2
    assert not (tmp_path / "results").exists()
    free(needed)
    result = gdlab("run", "c.yaml", "landscape=null", "figures=[]")
    assert result.exit_code == 0, result.output
    free(0)  # a resume needs less than the whole, so it is not refused
    assert gdlab("resume", "results/small").exit_code == 0
    assert json.loads((folder / "provenance.json").read_text())["status"] == "finished"


def test_disk_space_asks_for_the_folder_or_its_nearest_parent(tmp_path, free):
    asked = free(5)
    (tmp_path / "a").mkdir()
    for out in (tmp_path / "a", tmp_path / "a" / "b" / "c"):
        assert disk_space([], out)[:2] == (0, 5)
    assert asked == [tmp_path / "a"] * 2


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (4 * 10**11, "372.5 GiB"),
        (2**60, "1024.0 PiB"),
    ],
)
def test_in_units_names_the_largest_unit_below_the_size(size, text):
    assert in_units(size) == text
