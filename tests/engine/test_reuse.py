"""Runs reused from another store, compared with NumPy indexing and with a sweep that computes all runs."""

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from gdlab import rules
from gdlab.engine.execute import Settings, execute
from gdlab.engine.read_store import STORE, StoreError, open_store
from gdlab.engine.reuse import ReusedRuns
from gdlab.engine.runner import Stopped
from gdlab.engine.write_store import Store
from tests.engine.engine_cases import assert_same_bits, bowl, executed, trained

RUNS, RECORDS = 30, 7


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """The folder and the arrays of another store: one number per run, and a series of pairs, both in several chunks."""
    folder = tmp_path_factory.mktemp("theirs")
    root = zarr.create_group(folder / STORE)
    rng = np.random.default_rng(0)
    ends = root.create_array("ends", data=rng.integers(0, 99, RUNS).astype(np.int32), chunks=(8,))
    loss = root.create_array("loss", data=rng.normal(size=(RUNS, RECORDS, 2)).astype(np.float32), chunks=(8, 3, 2))
    return folder, {"ends": ends, "loss": loss}


sources = st.lists(st.integers(-1, RUNS - 1) | st.just(-1), min_size=1, max_size=20)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(sources, st.data())
def test_merged_combines_reused_and_computed_runs(theirs, source, data):
    folder, arrays = theirs
    source = np.array(source)
    first = data.draw(st.integers(0, len(source) - 1))
    tile = slice(first, data.draw(st.integers(first + 1, len(source))))
    part = data.draw(st.sampled_from([None, slice(0, 3), slice(3, 6), slice(6, 7)]))
    known = ReusedRuns(source, arrays, folder)
    for name, array in arrays.items():
        records = part if name == "loss" else None
        theirs_in_part = array[:] if records is None else array[:, records]
        lacking = source[tile] < 0
        shape = (int(lacking.sum()), *theirs_in_part.shape[1:])
        ours = -1 - np.arange(np.prod(shape)).reshape(shape).astype(array.dtype)
        wanted = theirs_in_part[source[tile]]
        wanted[lacking] = ours
        found = known.merged(name, tile, ours, records)
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, wanted)


def test_merged_reports_that_the_other_store_has_changed(theirs, tmp_path):
    root = zarr.create_group(tmp_path / STORE)
    lost = root.create_array("ends", shape=(RUNS,), chunks=(8,), dtype="i4")
    known = ReusedRuns(np.arange(RUNS), {"ends": lost}, tmp_path)
    with pytest.raises(StoreError, match=f"{tmp_path}.* has changed: a chunk of ends is missing"):
        known.merged("ends", slice(0, 8), np.zeros(0, np.int32))


def runs(rates):
    return trained(bowl(), rules.gd, {"lr": rates, "seed": 2}, steps=12, probes={"x": lambda step: step.params})


RATES = np.linspace(0.1, 0.6, 11)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """A finished store with every second learning rate."""
    folder = tmp_path_factory.mktemp("earlier")
    points, groups = runs(RATES[::2])
    with Store(folder, points) as store:
        execute(groups, store, Settings(chunk=8, tile=5))
    return folder


def taken(folder, group):
    """The runs of a group that can be reused from the store in a folder."""
    here = zarr.open_group(folder / STORE, mode="r")["group_0"]
    index_of = {pair: index for index, pair in enumerate(zip(here["lr"][:], here["seed"][:], strict=True))}
    source = [index_of.get(pair, -1) for pair in zip(group.columns["lr"], group.columns["seed"], strict=True)]
    return ReusedRuns(np.array(source), {name: here[name] for name in here.attrs["results"]}, folder)


@pytest.mark.parametrize("tile", [3, None])
def test_store_computes_only_the_runs_that_are_not_reused(earlier, tile, tmp_path):
    points, groups = runs(RATES)
    known = taken(earlier, groups[0])
    assert (known.runs >= 0).sum() == 12
    evaluated = []
    with Store(tmp_path, points, reused={0: known}) as store:
        series = store.series
        store.series = lambda index, where, first, records: (
            evaluated.append(len(records["loss"])) or series(index, where, first, records)
        )
        execute(groups, store, Settings(chunk=8, tile=tile))
    assert sum(evaluated) == 10
    assert_same_bits(open_store(tmp_path), executed(points, groups, Settings(chunk=8)))


def test_store_computes_nothing_if_all_runs_are_reused(earlier, tmp_path, programs):
    points, groups = runs(RATES[::2])
    with Store(tmp_path, points, reused={0: taken(earlier, groups[0])}) as store:
        (timing,) = execute(groups, store, Settings(chunk=8, tile=4))
    assert not programs
    assert timing.compile_seconds == 0
    assert_same_bits(open_store(tmp_path), open_store(earlier))


@pytest.mark.parametrize("tile", [4, None])
def test_store_with_reused_runs_resumes_without_them(earlier, tile, tmp_path, segmented):
    segmented(4)
    points, groups = runs(RATES)
    asked = iter([False, True])
    known = {0: taken(earlier, groups[0])}
    with pytest.raises(Stopped), Store(tmp_path, points, reused=known) as store:
        execute(groups, store, Settings(chunk=8, tile=tile, stop=lambda: next(asked)))
    with Store(tmp_path, points, resume=True) as store:
        execute(groups, store, Settings(chunk=8, tile=tile))
    assert_same_bits(open_store(tmp_path), executed(points, groups, Settings(chunk=8)))
