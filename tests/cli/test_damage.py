"""Damage to a results folder is reported; `gdlab resume` repairs it and reports what was lost."""

import json
import shutil

import numpy as np
import pytest

import gdlab
from gdlab.engine.read_store import StoreError, open_store
from gdlab.experiment.results import open_part
from tests.real_processes import SMALL, assert_same


@pytest.fixture
def command(request):
    """The fixture `gdlab`, under a name that differs from the package's."""
    return request.getfixturevalue("gdlab")


def cut(path):
    path.write_bytes(path.read_bytes()[:-5])


def alter(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def delete(path):
    path.unlink()


def harmed(whole, tmp_path, *harms):
    folder = shutil.copytree(whole, tmp_path / "harmed")
    for harm, name in harms:
        harm(folder / "store.zarr" / name)
    return folder


def assert_said(done, *words):
    assert done.code == 2, done
    assert all(word in done.err for word in words), done.err
    assert "Traceback" not in done.err


def test_resume_names_damaged_chunks_and_runs_them_again(processes, tmp_path, uninterrupted):
    harms = [(cut, "group_0/final_loss/c/2"), (alter, "group_1/loss/c/1/0"), (delete, "group_1/position/c/3/2/0")]
    folder = harmed(uninterrupted, tmp_path, *harms)
    first = "a chunk of group_0/final_loss was changed or truncated"
    with pytest.raises(StoreError, match=f"{first}. gdlab resume {folder} finds the damaged runs and runs them again"):
        gdlab.open_results(folder)
    assert_said(processes.call(tmp_path, "show", folder), first, f"gdlab resume {folder}")
    done = processes.call(tmp_path, "resume", folder, knobs=SMALL, events=tmp_path / "events")
    assert done.code == 0, done.err
    assert f"{first}: runs 16 to 23 of group 0 are run again" in done.err
    assert "a chunk of group_1/loss was changed or truncated: runs 8 to 15 of group 1 are run again" in done.err
    assert "a chunk of group_1/position is missing: runs 24 to 26 of group 1 are run again" in done.err
    assert (tmp_path / "events").read_text().split().count("segment") <= 3 * 4
    assert_same(folder, uninterrupted)


@pytest.mark.parametrize(
    ("harm", "name"),
    [
        (alter, "group_1/lr/c/0"),
        *(
            pytest.param(*harm, marks=pytest.mark.slow)
            for harm in ((delete, "group_0/zarr.json"), (cut, "group_1/loss/zarr.json"), (cut, "zarr.json"))
        ),
    ],
)
def test_resume_repairs_damaged_metadata_without_any_run(processes, tmp_path, uninterrupted, harm, name):
    folder = harmed(uninterrupted, tmp_path, (harm, name))
    assert_said(
        processes.call(tmp_path, "show", folder), f"{folder / 'store.zarr' / name.split('/')[0]}", "gdlab resume"
    )
    done = processes.call(tmp_path, "resume", folder, knobs=SMALL, events=tmp_path / "events")
    assert done.code == 0, done.err
    assert "segment" not in (tmp_path / "events").read_text().split()
    assert_same(folder, uninterrupted)


@pytest.mark.slow
def test_resume_computes_a_damaged_landscape_again(processes, tmp_path, with_figures):
    for harm, name in ((alter, "loss/c/0/0"), (delete, "path_x/c/0/0"), (delete, "loss/zarr.json"), (cut, "zarr.json")):
        folder = harmed(with_figures, tmp_path / name.replace("/", "-"), (harm, f"landscape/{name}"))
        with pytest.raises(
            StoreError, match=f"store.zarr/landscape is damaged .*; gdlab resume {folder} computes it again"
        ):
            open_part(folder)
    assert_said(
        processes.call(tmp_path, "plot", folder, "landscape"), "store.zarr/landscape is damaged", "gdlab resume"
    )
    done = processes.call(tmp_path, "resume", folder, "--format", "png", knobs=SMALL)
    assert done.code == 0, done.err
    assert_same(folder, with_figures)


def folder_instead(path):
    path.unlink()
    path.mkdir()


def dangling(path):
    path.unlink()
    path.symlink_to("nowhere")


PROVENANCE = [
    (cut, "is damaged"),
    (delete, "is missing"),
    (folder_instead, "can't be read (Is a directory)"),
    (dangling, "is missing"),
    (lambda path: path.write_text("[1]"), "is damaged (it is not a mapping)"),
    (lambda path: path.write_text('{"a": ' * 100_000), "is damaged (its nesting is too deep)"),
    (
        lambda path: path.write_text(path.read_text().replace("rosenbrock", "himmelblau")),
        "is damaged (its checksum differs)",
    ),
]


@pytest.mark.parametrize(("harm", "state"), PROVENANCE)
def test_a_damaged_provenance_is_reported_with_what_to_do(command, finished, tmp_path, harm, state):
    folder = shutil.copytree(finished, tmp_path / "harmed")
    harm(folder / "provenance.json")
    with pytest.raises(StoreError) as said:
        gdlab.open_results(folder)
    message = str(said.value)
    assert f"{folder / 'provenance.json'} {state}" in message
    for way_out in ("restore it from a copy", f"gdlab run {folder / 'config.yaml'}", "open_store reads the runs"):
        assert way_out in message
    for words in (["show"], ["best"], ["resume"], ["landscape"], ["plot", "loss_curves"]):
        done = command(words[0], folder, *words[1:])
        assert done.exit_code == 2, done.output
        assert message in done.stderr
    assert "final_loss" in open_store(folder)


def test_provenance_accepts_another_config_folder(command, finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "moved")
    provenance = json.loads((folder / "provenance.json").read_text())
    (folder / "provenance.json").write_text(json.dumps(provenance | {"config_folder": str(tmp_path)}))
    assert command("show", folder).exit_code == 0


@pytest.mark.parametrize("name", ["x/zarr.json", "x", "loss/c/0/0", "y/c/0"])
def test_plot_refuses_a_landscape_that_lacks_a_file(command, finished, tmp_path, name):
    """Regression: without x/zarr.json the axis was drawn from 0 to 8."""
    folder = shutil.copytree(finished, tmp_path / "harmed")
    path = folder / "store.zarr" / "landscape" / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    done = command("plot", folder, "landscape", "--format", "png")
    assert done.exit_code == 2, done.output
    assert "store.zarr/landscape is damaged (a file is missing or changed)" in done.stderr
    assert f"gdlab resume {folder} computes it again" in done.stderr


def test_open_part_refuses_exchanged_coordinates(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "harmed")
    x, y = (folder / "store.zarr/landscape" / name / "c/0" for name in "xy")
    contents = x.read_bytes(), y.read_bytes()
    y.write_bytes(contents[0])
    x.write_bytes(contents[1])
    with pytest.raises(StoreError, match=r"store\.zarr/landscape is damaged"):
        open_part(folder)


def test_run_of_row_reads_the_store(command, finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "altered")
    rates = list(gdlab.open_results(folder)["lr"].values)
    rows = (folder / "runs.csv").read_text().splitlines()
    place = rows[0].split(",").index("lr")
    rows[1] = ",".join([*rows[1].split(",")[:place], "0.1", *rows[1].split(",")[place + 1 :]])
    (folder / "runs.csv").write_text("\n".join(rows))
    words = ("landscape", folder, "--run", "0", "--points", "5", "--format", "png", "--quiet")
    assert command(*words).exit_code == 0
    np.testing.assert_allclose(open_part(folder, "landscape-run-0-points-5")["lr"], rates[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("harm", "state"),
    [(folder_instead, "can't be read"), (dangling, "is missing"), (lambda path: path.write_text("[]"), "a mapping")],
)
def test_damaged_claims_are_reported(command, finished, tmp_path, harm, state):
    folder = shutil.copytree(finished, tmp_path / "harmed")
    (folder / "claims.json").write_text('{"claims": []}')
    harm(folder / "claims.json")
    done = command("show", folder)
    assert done.exit_code == 2, done.output
    assert f"{folder / 'claims.json'} " in done.stderr
    assert state in done.stderr


def test_resume_refuses_a_changed_config(processes, tmp_path, uninterrupted):
    folder = shutil.copytree(uninterrupted, tmp_path / "changed")
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("8000", "9000"))
    done = processes.call(tmp_path, "resume", folder)
    assert_said(done, f"{config} was changed after its runs began", f"gdlab run {config}")
