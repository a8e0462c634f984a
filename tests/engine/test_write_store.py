"""`Store` writes the results that are in memory; the manifest lists complete tiles only."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
import xarray
import zarr

from gdlab import chain, evaluate, sweep
from gdlab.engine import group_metadata
from gdlab.engine.execute import Settings, execute
from gdlab.engine.plan import plan
from gdlab.engine.read_store import STORE, StoreError, open_store, read_store
from gdlab.engine.sink import MemorySink
from gdlab.engine.space import space
from gdlab.engine.write_store import Store
from gdlab.rules import gd, momentum
from tests.engine.engine_cases import assert_same_bits, bowl, builder, executed, trained

RULES = {"gd": gd, "heavy": momentum}
OVER = {("lr", "beta"): [(0.1, 0.5), (1e9, 0.9), (0.1, 0.0)], "seed": 2}
SETTINGS = {"steps": 12, "every": 5, "probes": {"x": lambda step: step.params, "index": lambda step: step.index}}


def runs(over=OVER, **settings):
    return trained(bowl(), RULES, over, **SETTINGS | settings)


def function_runs(fn, over):
    points = space(over)
    return points, plan(points, builder(fn, points.names))


def stored(folder, points, groups, **settings):
    with Store(folder, points) as store:
        execute(groups, store, Settings(**settings))
    return open_store(folder)


def tiles_of(folder):
    """The tiles in the manifest: (group, runs)."""
    entries = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    return [(entry["group"], slice(*entry["runs"])) for entry in entries if entry["runs"] != [0, 0]]


@pytest.fixture(scope="module")
def in_memory():
    return sweep(bowl(), RULES, OVER, **SETTINGS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished store with two runs per tile."""
    folder = tmp_path_factory.mktemp("store")
    stored(folder, *runs(), tile=2)
    return folder


@pytest.mark.smoke
def test_open_store_equals_the_dataset_in_memory(folder, in_memory):
    assert in_memory["loss"].dims == ("rule", "lr_beta", "seed", "step")
    assert np.isnan(in_memory["final_loss"]).any()
    assert (in_memory["index"] == -1).any()
    assert_same_bits(open_store(folder), in_memory)


@pytest.mark.parametrize(("tile", "chunk"), [(1, None), (4, 2), (None, None)])
def test_open_store_is_the_same_for_any_tile_and_chunk(tile, chunk, tmp_path):
    points, groups = runs()
    found = stored(tmp_path, points, groups, tile=tile, chunk=chunk)
    assert_same_bits(found, executed(points, groups, Settings(chunk=chunk)))


@pytest.mark.parametrize("tile", [2, None])
def test_open_store_reads_series_with_a_chunk_per_segment(tile, tmp_path, segmented, monkeypatch):
    segmented(5)
    monkeypatch.setattr(group_metadata, "BUFFERED", 0)
    points, groups = runs(steps=37, every=2)
    found = stored(tmp_path, points, groups, tile=tile)
    here = zarr.open_group(tmp_path / STORE, mode="r")["group_1/x"]
    assert here.chunks == (tile or 6, 4, 2)
    assert here.nchunks_initialized == here.nchunks
    assert_same_bits(found, executed(points, groups))


def test_open_store_reads_series_of_tiles_that_end_early(tmp_path, segmented, monkeypatch):
    segmented(16)
    monkeypatch.setattr(group_metadata, "BUFFERED", 0)
    points, groups = runs({"lr": [1e9, 1e12, 0.1], "beta": [0.5]}, steps=48, every=1)
    found = stored(tmp_path, points, groups, tile=2)
    here = zarr.open_group(tmp_path / STORE, mode="r")["group_0/loss"]
    assert here.nchunks_initialized == here.nchunks == 2 * 16
    assert_same_bits(found, executed(points, groups))


def test_open_store_reads_a_function_with_static_values_and_fill_values(tmp_path):
    def fn(n, x, flag):
        own = {"own": x} if flag else {}
        return {"real": x * jnp.ones((n, 2)), "whole": jnp.arange(n), **own}

    over = {"n": [3, 1], "x": np.linspace(0.1, 0.3, 5), "flag": [True, None]}
    assert_same_bits(stored(tmp_path, *function_runs(fn, over), tile=2), evaluate(fn, over))


def test_open_store_reads_a_chain_with_absent_axes(tmp_path):
    def fn(x=5.0, n=7, kind="z"):
        return {"y": x * jnp.float32(n), "z": jnp.asarray(float(ord(kind)))}

    over = chain({"x": [0.5, 1.5], "kind": ["a", "b"]}, {"n": [2, 3]}, {"x": [1.5], "kind": ["a"], "n": [4]})
    points, groups = function_runs(fn, over)
    assert_same_bits(stored(tmp_path, points, groups), evaluate(fn, over))
    held = [(dict(group.static), {name: column.tolist() for name, column in group.columns.items()})
            for group in read_store(tmp_path).groups]  # fmt: skip
    assert sorted(held, key=str) == sorted(
        [
            ({"kind": "a"}, {"x": [0.5, 1.5]}),
            ({"kind": "b"}, {"x": [0.5, 1.5]}),
            ({}, {"n": [2, 3]}),
            ({"kind": "a"}, {"x": [1.5], "n": [4]}),
        ],
        key=str,
    )


def test_open_store_reads_a_single_point(tmp_path):
    found = stored(tmp_path, *function_runs(lambda: jnp.arange(3.0), {}))
    assert_same_bits(found, evaluate(lambda: jnp.arange(3.0), {}))


@pytest.mark.usefixtures("x64")
def test_open_store_reads_double_precision(tmp_path):
    data = stored(tmp_path, *function_runs(lambda x: x / 3, {"x": [0.1, 0.2]}))
    np.testing.assert_array_equal(data["value"], np.array([0.1, 0.2]) / 3)


def test_manifest_lists_each_run_of_each_group_once(folder):
    _, groups = runs()
    seen = [np.zeros(group.size, int) for group in groups]
    for index, tile in tiles_of(folder):
        seen[index][tile] += 1
    assert [counts.tolist() for counts in seen] == [[1] * 4, [1] * 6]
    assert len(tiles_of(folder)) == 2 + 3


class PowerError(Exception):
    """The process is interrupted."""


@pytest.mark.parametrize("writes", [0, 1, 7, 8, 11, 16, 39])
def test_manifest_of_an_interrupted_store_lists_complete_tiles_only(writes, tmp_path, monkeypatch):
    """Eight arrays are written for each of five tiles; the process is interrupted after some of them."""
    points, groups = runs()
    whole = MemorySink()
    execute(groups, whole)
    left, write = iter(range(writes)), zarr.Array.__setitem__

    def until(*args):
        if next(left, None) is None:
            raise PowerError
        write(*args)

    with Store(tmp_path, points) as store:
        monkeypatch.setattr(zarr.Array, "__setitem__", until)
        with pytest.raises(PowerError):
            execute(groups, store, Settings(tile=2))
    entries = tiles_of(tmp_path)
    assert len(entries) == writes // 8
    for index, tile in entries:
        group = zarr.open_group(tmp_path / STORE, mode="r")[f"group_{index}"]
        for name, values in whole.results[index].items():
            np.testing.assert_array_equal(group[name][tile], values[tile], err_msg=name)
    for index, group in enumerate(read_store(tmp_path).groups):
        done = np.zeros(groups[index].size, bool)
        for number, tile in entries:
            done[tile] |= number == index
        for name in ("best_loss", "loss", "x"):
            assert np.isnan(group.results[name][~done]).all()
        for name in ("steps_taken", "diverged_at", "index"):
            assert (group.results[name][~done] == -1).all()
        assert (group.results["steps_taken"][done] > 0).all()


@pytest.mark.smoke
def test_xarray_opens_each_group_of_a_store(folder, in_memory):
    path = folder / STORE
    gd_runs = xarray.open_zarr(path, group="group_0", consolidated=False)
    assert gd_runs["loss"].dims == ("run", "step")
    assert gd_runs.attrs["static"] == {"rule": "gd"}
    assert set(gd_runs.coords) == {"seed", "lr", "step"}
    assert gd_runs["lr"].values.tolist() == [0.1, 1e9] * 2
    assert gd_runs["seed"].values.tolist() == [0, 0, 1, 1]
    wanted = in_memory["loss"].sel(rule="gd").isel(lr_beta=[0, 1]).transpose("seed", "lr_beta", "step")
    np.testing.assert_array_equal(gd_runs["loss"], wanted.values.reshape(4, -1))

    heavy = xarray.open_datatree(path, engine="zarr", consolidated=False)["group_1"]
    assert set(heavy.coords) == {"seed", "lr", "beta", "step"}
    assert heavy["lr"].dims == heavy["beta"].dims == heavy["seed"].dims == ("run",)
    np.testing.assert_array_equal(heavy["step"], [0, 5, 10])
    wanted = in_memory["final_loss"].sel(rule="heavy").transpose("seed", "lr_beta")
    np.testing.assert_array_equal(heavy["final_loss"], wanted.values.reshape(-1))
    heavy.close()


def test_group_of_a_store_unstacks_to_its_grid(folder, in_memory):
    heavy = xarray.open_zarr(folder / STORE, group="group_1", consolidated=False)
    grid = heavy.set_index(run=["seed", "lr", "beta"])["final_loss"].unstack("run")
    for seed in (0, 1):
        for place, (lr, beta) in enumerate(OVER["lr", "beta"]):
            wanted = in_memory["final_loss"].sel(rule="heavy", seed=seed)[place]
            np.testing.assert_array_equal(grid.sel(seed=seed, lr=lr, beta=beta), wanted)


def test_store_makes_a_tile_one_chunk_of_each_array(folder):
    root = zarr.open_group(folder / STORE, mode="r")
    assert root["group_0/final_loss"].chunks == (2,)
    assert root["group_0/x"].chunks == (2, 3, 2)


def test_store_refuses_a_folder_with_results(folder):
    before = (folder / "manifest.jsonl").read_bytes()
    with pytest.raises(StoreError, match="already holds results; gdlab resume continues them"):
        Store(folder, runs()[0]).__enter__()
    assert (folder / "manifest.jsonl").read_bytes() == before


def test_store_refuses_a_folder_with_a_manifest(tmp_path):
    (tmp_path / "manifest.jsonl").write_text("{}\n")
    with pytest.raises(StoreError, match="already holds results"):
        Store(tmp_path, space({"x": [1.0]})).__enter__()
    assert (tmp_path / "manifest.jsonl").read_text() == "{}\n"


def test_open_store_reports_a_missing_store(tmp_path):
    with pytest.raises(StoreError, match=f"{tmp_path} holds no results: there is no store.zarr in it"):
        open_store(tmp_path)


def test_store_writes_complete_tiles_of_fill_values(tmp_path):
    points, groups = function_runs(lambda x: {"real": x * jnp.nan, "whole": jnp.asarray(-1)}, {"x": [1.0, 2.0]})
    stored(tmp_path, points, groups, tile=1)
    here = zarr.open_group(tmp_path / STORE, mode="r")["group_0"]
    assert all(here[n].nchunks_initialized == here[n].nchunks == 2 for n in ("real", "whole"))
