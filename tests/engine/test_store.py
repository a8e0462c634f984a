"""Results on disk are the results in memory, and the ledger never says more than is there."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
import xarray
import zarr
from engine_cases import assert_same_bits, bowl, builder

from gdlab import evaluate, sweep
from gdlab.engine.dataset import Memory
from gdlab.engine.execute import execute
from gdlab.engine.plan import plan
from gdlab.engine.space import space
from gdlab.engine.store import Store, StoreError, open_store
from gdlab.rules import gd, momentum
from gdlab.training import assignment

RULES = {"gd": gd, "heavy": momentum}
OVER = {("lr", "beta"): [(0.1, 0.5), (1e9, 0.9), (0.1, 0.0)], "seed": 2}
SETTINGS = {"steps": 12, "every": 5, "probes": {"x": lambda step: step.params, "index": lambda step: step.index}}


def runs():
    build, points = assignment(bowl(), RULES, OVER, **SETTINGS)
    return plan(points, build), points


def function_runs(fn, over):
    points = space(over)
    return plan(points, builder(fn, points.names)), points


def stored(folder, groups, points, chunk=None):
    execute(groups, Store(folder, points), chunk=chunk)
    return open_store(folder)


def ledger(folder):
    return [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def in_memory():
    return sweep(bowl(), RULES, OVER, **SETTINGS, chunk=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished store of runs, two lanes to a tile."""
    folder = tmp_path_factory.mktemp("store")
    execute(runs()[0], Store(folder, runs()[1]), chunk=2)
    return folder


def test_a_store_read_back_is_the_dataset_in_memory(folder, in_memory):
    assert in_memory["loss"].dims == ("rule", "lr_beta", "seed", "step")
    assert np.isnan(in_memory["final_loss"]).any()
    assert (in_memory["index"] == -1).any()
    assert_same_bits(open_store(folder), in_memory)


@pytest.mark.parametrize("chunk", [1, 4, None])
def test_tiles_of_any_size_read_back_the_same(chunk, tmp_path):
    assert_same_bits(stored(tmp_path, *runs(), chunk), sweep(bowl(), RULES, OVER, **SETTINGS, chunk=chunk))


def test_a_store_of_a_function_reads_back_with_blanks_and_static_values(tmp_path):
    def fn(n, x, flag):
        own = {"own": x} if flag else {}
        return {"real": x * jnp.ones((n, 2)), "whole": jnp.arange(n), **own}

    over = {"n": [3, 1], "x": np.linspace(0.1, 0.3, 5), "flag": [True, None]}
    assert_same_bits(stored(tmp_path, *function_runs(fn, over), chunk=2), evaluate(fn, over, chunk=2))


def test_a_store_of_one_point_reads_back(tmp_path):
    assert_same_bits(
        stored(tmp_path, *function_runs(lambda: jnp.arange(3.0), {})), evaluate(lambda: jnp.arange(3.0), {})
    )


@pytest.mark.usefixtures("x64")
def test_double_precision_reads_back(tmp_path):
    data = stored(tmp_path, *function_runs(lambda x: x / 3, {"x": [0.1, 0.2]}))
    np.testing.assert_array_equal(data["value"], np.array([0.1, 0.2]) / 3)


def test_the_ledger_covers_each_lane_of_each_group_once(folder):
    entries = ledger(folder)
    for index, group in enumerate(runs()[0]):
        seen = np.zeros(group.shape, int)
        for entry in entries:
            if entry["group"] == index:
                seen[slice(*entry["outer"]), slice(*entry["inner"])] += 1
        assert (seen == 1).all()
    assert len(entries) == 2 * 1 + 2 * 2


class PowerError(Exception):
    """The power went."""


class Until:
    """A sink that passes so many tiles on, and is then interrupted: before the next tile, or after its first array."""

    def __init__(self, sink, tiles, *, torn):
        self.sink, self.tiles, self.torn = sink, tiles, torn
        self.begin = sink.begin

    def write(self, index, outer, inner, results):
        if self.tiles == 0:
            if self.torn:
                self.sink.write(index, outer, inner, Torn(results))
            raise PowerError
        self.tiles -= 1
        self.sink.write(index, outer, inner, results)


class Torn(dict):
    """Arrays of which only the first can be had."""

    def items(self):
        yield next(iter(super().items()))
        raise PowerError


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("tiles", [0, 1, 3, 5])
def test_an_interrupted_store_lists_exactly_the_tiles_that_are_whole(tiles, torn, tmp_path):
    groups, points = runs()
    whole = Memory()
    execute(groups, whole, chunk=2)
    with pytest.raises(PowerError):
        execute(groups, Until(Store(tmp_path, points), tiles, torn=torn), chunk=2)
    entries = ledger(tmp_path)
    assert len(entries) == tiles
    for entry in entries:
        group = zarr.open_group(tmp_path / "store.zarr", mode="r")[f"group_{entry['group']}"]
        here = (slice(*entry["outer"]), slice(*entry["inner"]))
        for name, values in whole.results[entry["group"]].items():
            np.testing.assert_array_equal(group[name][:][here], values[here], err_msg=name)


def test_each_group_opens_with_xarray(folder, in_memory):
    path = folder / "store.zarr"
    gd_runs = xarray.open_zarr(path, group="group_0", consolidated=False)
    assert gd_runs["loss"].dims == ("seed", "point", "step")
    assert gd_runs.attrs["static"] == {"rule": "gd"}
    assert set(gd_runs.coords) == {"seed", "lr", "step"}
    assert gd_runs["lr"].values.tolist() == [0.1, 1e9]
    wanted = in_memory["loss"].sel(rule="gd").isel(lr_beta=[0, 1]).transpose("seed", "lr_beta", "step")
    np.testing.assert_array_equal(gd_runs["loss"], wanted)

    heavy = xarray.open_datatree(path, engine="zarr", consolidated=False)["group_1"]
    assert set(heavy.coords) == {"seed", "lr", "beta", "step"}
    assert heavy["lr"].dims == heavy["beta"].dims == ("point",)
    np.testing.assert_array_equal(heavy["step"], [0, 5, 10])
    wanted = in_memory["final_loss"].sel(rule="heavy").transpose("seed", "lr_beta")
    np.testing.assert_array_equal(heavy["final_loss"], wanted)
    heavy.close()


def test_what_an_interrupted_store_does_not_list_is_blank(tmp_path):
    groups, points = runs()
    with pytest.raises(PowerError):
        execute(groups, Until(Store(tmp_path, points), 1, torn=False), chunk=2)
    here = zarr.open_group(tmp_path / "store.zarr", mode="r")["group_0"]
    assert np.isfinite(here["best_loss"][0]).all()
    assert (here["steps_taken"][0] > 0).all()
    for name in ("best_loss", "final_loss", "loss", "x"):
        assert np.isnan(here[name][1]).all()
    for name in ("steps_taken", "diverged_at", "index"):
        assert (here[name][1] == -1).all()


def test_a_tile_is_a_chunk_of_each_array(folder):
    root = zarr.open_group(folder / "store.zarr", mode="r")
    assert root["group_0/final_loss"].chunks == (1, 2)
    assert root["group_0/x"].chunks == (1, 2, 3, 2)


def test_a_folder_takes_one_store(folder):
    before = ledger(folder)
    with pytest.raises(zarr.errors.ContainsGroupError):
        Store(folder, runs()[1])
    assert ledger(folder) == before


def test_a_ledger_is_never_taken_over(tmp_path):
    (tmp_path / "ledger.jsonl").write_text("{}\n")
    with pytest.raises(FileExistsError):
        Store(tmp_path, space({"x": [1.0]}))
    assert (tmp_path / "ledger.jsonl").read_text() == "{}\n"


def test_no_store_is_said_to_be_none(tmp_path):
    with pytest.raises(StoreError, match=f"{tmp_path} holds no results: there is no store.zarr in it"):
        open_store(tmp_path)


@pytest.mark.parametrize("number", [2, None, "1"])
def test_a_store_of_another_format_is_refused(number, tmp_path):
    stored(tmp_path, *function_runs(lambda x: x, {"x": [1.0]}))
    zarr.open_group(tmp_path / "store.zarr").attrs["gdlab_format"] = number
    with pytest.raises(StoreError, match=f"has the format {number}, but this version reads 1"):
        open_store(tmp_path)


def test_a_finished_tile_of_blanks_is_on_disk_too(tmp_path):
    groups, points = function_runs(lambda x: {"real": x * jnp.nan, "whole": jnp.asarray(-1)}, {"x": [1.0, 2.0]})
    stored(tmp_path, groups, points, chunk=1)
    here = zarr.open_group(tmp_path / "store.zarr", mode="r")["group_0"]
    assert all(here[n].nchunks_initialized == here[n].nchunks == 2 for n in ("real", "whole"))
