"""A results folder that was damaged is said to be, in words; `gdlab resume` makes it good, and says what was lost."""

import shutil

import pytest

import gdlab
from gdlab.engine.read_store import StoreError
from gdlab.experiment.results import open_part
from tests.real_processes import SMALL, assert_same


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


def test_what_was_damaged_is_named_and_made_good(lab, tmp_path, unbroken):
    harms = [(cut, "group_0/final_loss/c/2"), (alter, "group_1/loss/c/1/0"), (delete, "group_1/position/c/3/2/0")]
    folder = harmed(unbroken, tmp_path, *harms)
    first = "group_0/final_loss has a chunk that was altered or cut short"
    with pytest.raises(StoreError, match=f"{first}. gdlab resume {folder} finds out what is lost and runs it again"):
        gdlab.open_results(folder)
    assert_said(lab.call(tmp_path, "show", folder), first, f"gdlab resume {folder}")
    done = lab.call(tmp_path, "resume", folder, knobs=SMALL, events=tmp_path / "events")
    assert done.code == 0, done.err
    assert f"{first}: runs 16 to 23 of group 0 are run again" in done.err
    assert "group_1/loss has a chunk that was altered or cut short: runs 8 to 15 of group 1 are run again" in done.err
    assert "group_1/position lacks a chunk: runs 24 to 26 of group 1 are run again" in done.err
    assert (tmp_path / "events").read_text().split().count("segment") <= 3 * 4
    assert_same(folder, unbroken)


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
def test_damage_to_what_describes_the_results_costs_no_run(lab, tmp_path, unbroken, harm, name):
    folder = harmed(unbroken, tmp_path, (harm, name))
    assert_said(lab.call(tmp_path, "show", folder), f"{folder / 'store.zarr' / name.split('/')[0]}", "gdlab resume")
    done = lab.call(tmp_path, "resume", folder, knobs=SMALL, events=tmp_path / "events")
    assert done.code == 0, done.err
    assert "segment" not in (tmp_path / "events").read_text().split()
    assert_same(folder, unbroken)


@pytest.mark.slow
def test_a_damaged_landscape_is_named_and_made_anew(lab, tmp_path, drawn):
    for harm, name in ((alter, "loss/c/0/0"), (delete, "path_x/c/0/0"), (delete, "loss/zarr.json"), (cut, "zarr.json")):
        folder = harmed(drawn, tmp_path / name.replace("/", "-"), (harm, f"landscape/{name}"))
        with pytest.raises(
            StoreError, match=f"store.zarr/landscape is damaged .*; gdlab resume {folder} makes it anew"
        ):
            open_part(folder)
    assert_said(lab.call(tmp_path, "plot", folder, "landscape"), "store.zarr/landscape is damaged", "gdlab resume")
    done = lab.call(tmp_path, "resume", folder, "--format", "png", knobs=SMALL)
    assert done.code == 0, done.err
    assert_same(folder, drawn)


@pytest.mark.parametrize("harm", [cut, delete])
@pytest.mark.parametrize("word", ["show", "resume"])
def test_without_provenance_it_is_said(lab, tmp_path, unbroken, harm, word):
    folder = shutil.copytree(unbroken, tmp_path / "harmed")
    harm(folder / "provenance.json")
    state = "missing" if harm is delete else "damaged"
    assert_said(lab.call(tmp_path, word, folder), f"{folder}/provenance.json is {state}")


def test_a_config_that_was_changed_is_not_gone_on_with(lab, tmp_path, unbroken):
    folder = shutil.copytree(unbroken, tmp_path / "changed")
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("8000", "9000"))
    done = lab.call(tmp_path, "resume", folder)
    assert_said(done, f"{config} is not as it was when its runs began", f"gdlab run {config}")
