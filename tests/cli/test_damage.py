"""A results folder that was damaged is said to be, in words; `gdlab resume` makes it good, and says what was lost."""

import shutil

import pytest
from real_processes import DRAWN, SMALL, assert_same, drawn, lab, unbroken  # noqa: F401

import gdlab
from gdlab.engine.stored import StoreError


def cut(path):
    path.write_bytes(path.read_bytes()[:-5])


def alter(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def delete(path):
    path.unlink()


@pytest.mark.parametrize(
    ("harm", "name", "said"),
    [
        (cut, "group_1/final_loss/c/2", "group_1/final_loss has a chunk that was altered or cut short"),
        (alter, "group_0/loss/c/1/0", "group_0/loss has a chunk that was altered or cut short"),
        (delete, "group_1/position/c/0/2/0", "group_1/position lacks a chunk"),
        (alter, "group_1/lr/c/0", "store.zarr/group_1"),
        (delete, "group_0/zarr.json", "store.zarr/group_0"),
        (cut, "zarr.json", "store.zarr/zarr.json"),
    ],
)
def test_what_was_damaged_is_named_and_made_good(lab, tmp_path, unbroken, harm, name, said):
    folder = shutil.copytree(unbroken, tmp_path / "harmed")
    harm(folder / "store.zarr" / name)
    with pytest.raises(StoreError, match=f"{said}.*gdlab resume {folder}"):
        gdlab.open_results(folder)
    shown = lab.call(tmp_path, "show", folder)
    assert shown.code == 2
    assert said in shown.err
    assert f"gdlab resume {folder} finds out what is lost and runs it again" in shown.err
    assert "Traceback" not in shown.err
    done = lab.call(tmp_path, "resume", folder, knobs=SMALL)
    assert done.code == 0, done.err
    if "/c/" in name and "/lr/" not in name:
        group, tile = name.split("/")[0][-1], int(name.split("/")[3])
        assert f"{said}: runs {8 * tile} to {min(8 * tile + 7, 26)} of group {group} are run again" in done.err
    assert_same(folder, unbroken)
    assert lab.call(tmp_path, "show", folder).code == 0


@pytest.mark.parametrize("harm", [alter, delete])
@pytest.mark.parametrize("name", ["loss/c/0/0", "zarr.json"])
def test_a_damaged_landscape_is_named_and_made_anew(lab, tmp_path, drawn, harm, name):
    folder = shutil.copytree(drawn, tmp_path / "harmed")
    harm(folder / "store.zarr" / "landscape" / name)
    plotted = lab.call(tmp_path, "plot", folder, "landscape", "--format", "png")
    assert plotted.code == 2
    assert "store.zarr/landscape is damaged" in plotted.err
    assert "Traceback" not in plotted.err
    done = lab.call(tmp_path, "resume", folder, "--format", "png", knobs=SMALL)
    assert done.code == 0, done.err
    assert_same(folder, drawn)


@pytest.mark.parametrize("harm", [cut, delete])
@pytest.mark.parametrize("word", ["show", "resume"])
def test_without_provenance_it_is_said(lab, tmp_path, unbroken, harm, word):
    folder = shutil.copytree(unbroken, tmp_path / "harmed")
    harm(folder / "provenance.json")
    done = lab.call(tmp_path, word, folder)
    assert done.code == 2
    assert f"{folder}/provenance.json is {'missing' if harm is delete else 'damaged'}" in done.err
    assert "Traceback" not in done.err


def test_a_config_that_was_changed_is_not_gone_on_with(lab, tmp_path, unbroken):
    folder = shutil.copytree(unbroken, tmp_path / "changed")
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("8000", "9000"))
    done = lab.call(tmp_path, "resume", folder)
    assert done.code == 2
    assert f"{config} is not as it was when its runs began" in done.err
    assert f"gdlab run {config}" in done.err
