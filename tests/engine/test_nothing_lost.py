"""A damaged or interrupted store is detected, and resuming it restores the same bytes."""

import itertools
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zarr

from gdlab.engine import write_store as store
from gdlab.engine.checkpoints import read_checkpoint, write_checkpoint
from gdlab.engine.execute import Settings, Stopped, execute
from gdlab.engine.manifest import Manifest
from gdlab.engine.read_store import StoreError, open_store
from gdlab.engine.tile_run import TileRun
from gdlab.engine.write_store import Store
from tests.engine.engine_cases import assert_same_bits, executed
from tests.engine.stored_runs import OVER, TILED, PowerError, assert_same_files, files, go, runs, until

pytestmark = pytest.mark.usefixtures("small")


@pytest.fixture
def torn(tmp_path, planned, often, monkeypatch):
    """A folder whose run was killed in the third segment of its second tile; a checkpoint holds two segments."""
    folder = tmp_path / "torn"
    folder.mkdir()
    with monkeypatch.context() as patch:
        until(6, patch)
        with pytest.raises(PowerError):
            go(folder, planned)
    assert [path.name for path in folder.glob(".checkpoint*")] == [".checkpoint-0-8.npz"]
    return folder


@pytest.mark.parametrize("segments", [0, 1, 4, 5, 7, 11, 13, 20, 22])
@pytest.mark.parametrize("kept", [True, False])
def test_store_resumes_an_interrupted_run(tmp_path, planned, whole_store, monkeypatch, segments, kept):
    monkeypatch.setattr(store, "OFTEN", -1.0 if kept else 1e9)
    folder = tmp_path / "torn"
    folder.mkdir()
    with monkeypatch.context() as patch:
        until(segments, patch)
        with pytest.raises(PowerError):
            go(folder, planned)
    assert go(folder, planned, resume=True) == []
    assert_same_files(folder, whole_store)
    assert (folder / "manifest.jsonl").read_bytes() == (whole_store / "manifest.jsonl").read_bytes()


def test_store_keeps_every_segment_of_a_stopped_run(tmp_path, planned, whole_store, monkeypatch):
    count = itertools.count(1)
    with pytest.raises(Stopped):
        go(tmp_path, planned, Settings(tile=8, stop=lambda: next(count) == 6))
    seen, advance = [], TileRun.advance
    monkeypatch.setattr(TileRun, "advance", lambda self, number: (seen.append(number), advance(self, number))[1])
    go(tmp_path, planned, resume=True)
    assert_same_files(tmp_path, whole_store)
    assert seen[:3] == [2, 3, 0]


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path, place=None, bit=0):
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if place is None else place] ^= 1 << bit
    path.write_bytes(content)


def delete(path):
    path.unlink()


@pytest.mark.parametrize("harm", [cut, flip, delete])
@pytest.mark.parametrize(
    "name",
    ["final_loss/c/1", "loss/c/1/0", "x/c/1/2/0", "diverged_at/c/1", "lr/c/0", "step/c/0", "zarr.json", "x/zarr.json"],
)
def test_open_store_reports_damage_and_resume_repairs_it(whole_store, tmp_path, planned, harm, name):
    folder = shutil.copytree(whole_store, tmp_path / "harmed")
    harm(folder / "store.zarr" / "group_1" / name)
    with pytest.raises(StoreError, match=f"gdlab resume {folder} finds the damaged runs and runs them again"):
        open_store(folder)
    notes = go(folder, planned, resume=True)
    if "/c/1" in name:
        (note,) = notes
        assert note.startswith(f"a chunk of group_1/{name.partition('/')[0]} ")
        assert note.endswith(": runs 8 to 15 of group 1 are run again")
    else:
        assert notes == []  # metadata is written again, and no run is lost
    assert_same_files(folder, whole_store)


def exchange(one, other):
    """Exchange two files."""
    contents = one.read_bytes(), other.read_bytes()
    assert contents[0] != contents[1]
    other.write_bytes(contents[0])
    one.write_bytes(contents[1])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("group_0/final_loss/c/1", "group_1/final_loss/c/1"),
        ("group_0/loss/c/0/0", "group_0/loss/c/1/0"),
        ("group_1/final_loss/c/0", "group_1/best_loss/c/0"),
        ("group_1/x/c/1/2/0", "group_1/x/c/1/0/0"),
    ],
)
def test_open_store_detects_exchanged_chunks(whole_store, tmp_path, planned, one, other):
    folder = shutil.copytree(whole_store, tmp_path / "harmed")
    exchange(folder / "store.zarr" / one, folder / "store.zarr" / other)
    with pytest.raises(StoreError, match="belongs to another place or another store"):
        open_store(folder)
    assert all("are run again" in note for note in go(folder, planned, resume=True))
    assert_same_files(folder, whole_store)


def test_open_store_detects_a_chunk_of_another_sweep(whole_store, tmp_path, planned):
    other, folder = tmp_path / "other", shutil.copytree(whole_store, tmp_path / "harmed")
    other.mkdir()
    go(other, runs(OVER | {"lr": [0.25, 0.5, 0.75, 0.0, 0.125, 0.375, 2.0**50]}))
    name = "store.zarr/group_1/final_loss/c/0"
    shutil.copy(other / name, folder / name)
    with pytest.raises(StoreError, match="a chunk of group_1 belongs to another place or another store"):
        open_store(folder)
    (note,) = go(folder, planned, resume=True)
    assert note.endswith("runs 0 to 7 of group 1 are run again")
    assert_same_files(folder, whole_store)


def test_store_detects_exchanged_chunks_of_an_incomplete_tile(torn, planned, whole_store):
    (checkpoint,) = torn.glob(".checkpoint*")
    exchange(*(torn / f"store.zarr/group_0/x/c/1/{segment}/0" for segment in (0, 1)))
    notes = go(torn, planned, resume=True)
    assert checkpoint.name == ".checkpoint-0-8.npz"
    assert any("belongs to another place" in note and "runs 8 to 15 of group 0 start again" in note for note in notes)
    assert_same_files(torn, whole_store)


def misplaced_folder(path):
    path.unlink()
    path.mkdir()


def dangling(path):
    path.unlink()
    path.symlink_to("nowhere")


def no_mapping(path):
    path.write_text("[1, 2]")


def deep(path):
    path.write_text("[" * 100_000)


FILES = ["zarr.json", "group_1/zarr.json", "group_1/lr/c/0", "group_1/x/zarr.json", "group_1/final_loss/c/1"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", [misplaced_folder, dangling, no_mapping, deep])
def test_open_store_reports_files_of_the_wrong_kind(whole_store, tmp_path, planned, harm, name):
    folder = shutil.copytree(whole_store, tmp_path / "harmed")
    harm(folder / "store.zarr" / name)
    with pytest.raises(StoreError, match=f"gdlab resume {folder} finds the damaged runs and runs them again"):
        open_store(folder)
    go(folder, planned, resume=True)
    assert_same_files(folder, whole_store)


@pytest.mark.parametrize("harm", [misplaced_folder, dangling, no_mapping, deep])
def test_open_store_reports_a_manifest_of_the_wrong_kind(whole_store, tmp_path, harm):
    folder = shutil.copytree(whole_store, tmp_path / "harmed")
    harm(folder / "manifest.jsonl")
    with pytest.raises(StoreError, match=f"gdlab resume {folder} finds the damaged runs and runs them again"):
        open_store(folder, finished=True)


@pytest.mark.parametrize(
    ("name", "harm"),
    [(name, harm) for name in ("store.zarr/zarr.json", "manifest.jsonl") for harm in (cut, flip, delete)],
)
def test_store_repairs_the_root_and_the_manifest(whole_store, tmp_path, planned, name, harm):
    folder = shutil.copytree(whole_store, tmp_path / "harmed")
    harm(folder / name)
    with pytest.raises(StoreError, match=f"gdlab resume {folder} finds the damaged runs and runs them again"):
        open_store(folder, finished=True)
    go(folder, planned, resume=True)
    assert_same_files(folder, whole_store)


def test_store_survives_a_change_of_any_byte(whole_store, tmp_path, planned):
    """The change is reported, or the results are the same; resuming restores the bytes."""
    wanted, refused = open_store(whole_store), []
    rng = np.random.default_rng(0)
    paths = sorted(p.relative_to(whole_store) for p in whole_store.rglob("*") if p.is_file() and p.name != ".lock")
    for number in range(40):
        folder = shutil.copytree(whole_store, tmp_path / str(number))
        path = folder / paths[rng.integers(len(paths))]
        flip(path, rng.integers(path.stat().st_size), rng.integers(8))
        try:
            found = open_store(folder, finished=True)
        except StoreError:
            pass
        else:
            assert_same_bits(found, wanted)
        try:
            go(folder, planned, resume=True)
        except StoreError as error:
            refused.append(str(error))
            continue
        assert_same_files(folder, whole_store)
        assert_same_bits(open_store(folder), wanted)
    assert all("has the format" in reason for reason in refused)  # a digit of it is what changed


@pytest.mark.parametrize("harm", [cut, flip, delete])
@pytest.mark.parametrize("name", ["x/c/1/0/0", "x/c/1/1/0"])
def test_store_restarts_an_incomplete_tile_with_damaged_chunks(torn, whole_store, planned, harm, name):
    """Its checkpoint is later than the damage, so continuing from it would keep the damage."""
    harm(torn / "store.zarr" / "group_0" / name)
    (note,) = go(torn, planned, resume=True)
    assert note.startswith("a chunk of group_0/x ")
    assert note.endswith(": runs 8 to 15 of group 0 start again")
    assert_same_files(torn, whole_store)


def test_store_does_not_continue_from_a_checkpoint_older_than_the_damage(torn, whole_store, planned, tmp_path):
    old = next(torn.glob(".checkpoint*"))
    content = old.read_bytes()
    go(torn, planned, resume=True)
    old.write_bytes(content)  # as if the run had been killed before it was removed
    delete(torn / "store.zarr" / "group_0" / "x" / "c" / "1" / "0" / "0")
    go(torn, planned, resume=True)
    assert_same_files(torn, whole_store)


@pytest.mark.parametrize("harm", [cut, flip, delete])
def test_store_restarts_a_tile_with_a_damaged_checkpoint(torn, whole_store, planned, harm):
    harm(next(torn.glob(".checkpoint*")))
    go(torn, planned, resume=True)
    assert_same_files(torn, whole_store)


def test_read_checkpoint_survives_a_change_of_any_byte(torn):
    """The checkpoint is refused, or it is equal."""
    path, tile = next(torn.glob(".checkpoint*")), slice(8, 16)
    wanted, content = read_checkpoint(torn, 0, tile, np.arange(8, 16)), path.read_bytes()
    rng, refused = np.random.default_rng(0), 0
    for place in rng.choice(len(content), 300, replace=False):
        flip(path, place, rng.integers(8))
        found = read_checkpoint(torn, 0, tile, np.arange(8, 16))
        path.write_bytes(content)
        if found is None:
            refused += 1
        else:
            assert jax.tree.structure(found) == jax.tree.structure(wanted)
            assert flat(found) == flat(wanted)
    assert refused > 100


def flat(checkpoint):
    return [(leaf.dtype, leaf.shape, leaf.tobytes()) for leaf in map(np.asarray, jax.tree.leaves(checkpoint))]


def test_read_checkpoint_restores_any_dtype(torn):
    checkpoint, buffers, written = read_checkpoint(torn, 0, slice(8, 16), np.arange(8, 16))
    odd = [
        np.asarray(jnp.arange(6.0).astype(dtype)) for dtype in ("bfloat16", "float8_e4m3fn", "float16", "int8", "bool")
    ]
    write_checkpoint(torn, 7, slice(0, 6), np.arange(6), checkpoint._replace(carry=odd), buffers, written)
    found, _, _ = read_checkpoint(torn, 7, slice(0, 6), np.arange(6))
    assert [leaf.dtype for leaf in found.carry] == [leaf.dtype for leaf in odd]
    assert [leaf.tobytes() for leaf in found.carry] == [leaf.tobytes() for leaf in odd]


def test_read_checkpoint_refuses_other_runs(torn):
    assert read_checkpoint(torn, 0, slice(8, 16), np.arange(8, 16)) is not None
    assert read_checkpoint(torn, 0, slice(8, 16), np.arange(9, 16)) is None


def test_store_without_checkpoints_restarts_an_incomplete_tile(torn, whole_store, planned, monkeypatch):
    seen, advance = [], TileRun.advance
    monkeypatch.setattr(TileRun, "advance", lambda self, number: (seen.append(number), advance(self, number))[1])
    go(torn, planned, resume=True, checkpoints=False)
    assert seen[:4] == [0, 1, 2, 3]
    assert_same_files(torn, whole_store)


def test_open_store_fills_incomplete_tiles(torn, planned):
    assert (torn / "store.zarr" / "group_0" / "x" / "c" / "1" / "0" / "0").exists()
    data, whole = open_store(torn), executed(*planned, TILED)
    done = np.zeros((2, 3, 7), bool)
    done[0].reshape(-1)[:8] = True
    for name in ("final_loss", "steps_taken", "x", "loss"):
        shape = (*done.shape, *(1,) * (data[name].ndim - 3))
        blank = -1 if name == "steps_taken" else np.nan
        np.testing.assert_array_equal(data[name], np.where(done.reshape(shape), whole[name], blank), err_msg=name)


def test_open_store_ignores_damage_in_incomplete_tiles(torn, planned):
    cut(torn / "store.zarr" / "group_0" / "x" / "c" / "1" / "0" / "0")
    open_store(torn)


def test_store_overwrites_segments_after_the_end_of_all_runs(tmp_path, planned):
    """The old segments are from an earlier attempt, in which the runs did not end."""
    points, groups = runs({"seed": 3, "lr": [2.0**50, 2.0**40, 2.0**45]})
    with Store(tmp_path, points) as sink:
        execute(groups, sink, TILED)
    wanted = files(tmp_path)
    late = tmp_path / "store.zarr" / "group_0" / "x" / "c" / "0" / "3" / "0"
    assert np.isnan(open_store(tmp_path)["x"].values[..., 9:, :]).all()
    array = zarr.open_array(tmp_path / "store.zarr" / "group_0" / "x", mode="r+")
    array[0:8, 9:12] = 1.0
    manifest = Manifest(tmp_path)
    manifest.remove_tile(0, slice(0, 8))
    assert late.read_bytes() != wanted["store.zarr/group_0/x/c/0/3/0"]
    with Store(tmp_path, points, resume=True) as sink:
        execute(groups, sink, TILED)
    assert files(tmp_path) == wanted


def test_manifest_ignores_a_truncated_line(whole_store, tmp_path, planned):
    folder = shutil.copytree(whole_store, tmp_path / "cut")
    path = folder / "manifest.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[:-9])
    assert [tile.start for tile in Manifest(folder).tiles(1)] == [0, 8]
    assert np.isnan(open_store(folder)["best_loss"].values[1, 2]).any()
    assert path.read_bytes() == content[:-9]  # reading changes nothing
    assert go(folder, planned, resume=True) == []
    assert path.read_bytes() == content
    assert_same_files(folder, whole_store)


@pytest.mark.parametrize(
    "entry", [{"group": 0, "runs": [0, 9]}, {"group": 0, "runs": [8, 24]}, {"group": 9, "runs": [0, 8]}]
)
def test_manifest_entries_of_unknown_tiles_are_ignored(whole_store, tmp_path, planned, entry):
    folder = shutil.copytree(whole_store, tmp_path / "odd")
    Manifest(folder).add_tile(entry["group"], slice(*entry["runs"]), "0" * 64)
    go(folder, planned, resume=True)
    assert_same_files(folder, whole_store)


def test_store_refuses_the_results_of_another_experiment(whole_store, tmp_path, planned):
    folder = shutil.copytree(whole_store, tmp_path / "other")
    before = files(folder)
    for other in ({"seed": 3, "lr": [0.5, 0.25]}, {"seed": 4, "lr": OVER["lr"]}):
        with pytest.raises(StoreError, match="holds the results of another experiment"):
            go(folder, runs(other), resume=True)
    points, _ = planned
    with pytest.raises(StoreError, match="holds the results of another experiment"):
        go(folder, (points, runs({"seed": 3, "lr": [0.5, 0.25]})[1]), resume=True)
    assert files(folder) == before


def test_store_allows_one_store_and_one_writer_per_folder(whole_store, tmp_path, planned):
    folder = shutil.copytree(whole_store, tmp_path / "taken")
    with pytest.raises(StoreError, match="already holds results; gdlab resume continues them"):
        go(folder, planned)
    with (
        Store(folder, planned[0], resume=True),
        pytest.raises(StoreError, match=f"another process is writing to {folder}; wait for it, or stop it"),
        Store(folder, planned[0], resume=True),
    ):
        pass
    go(folder, planned, resume=True)


@pytest.mark.parametrize("number", [1, 2, None, "3"])
def test_store_refuses_another_format(whole_store, tmp_path, planned, number):
    folder = shutil.copytree(whole_store, tmp_path / "old")
    zarr.open_group(folder / "store.zarr").attrs["gdlab_format"] = number
    before = files(folder)
    for read in (open_store, lambda folder: go(folder, planned, resume=True)):
        with pytest.raises(StoreError, match=f"has the format {number}, but this version reads 4"):
            read(folder)
    assert files(folder) == before
