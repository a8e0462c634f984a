"""Lanes that another store has already: against NumPy's indexing, and against a sweep that runs them all."""

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

LANES, RECORDS = 30, 7


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """Another store's folder, and its arrays: of one number for a lane, of a series of pairs, both cut into chunks."""
    folder = tmp_path_factory.mktemp("theirs")
    root = zarr.create_group(folder / STORE)
    rng = np.random.default_rng(0)
    ends = root.create_array("ends", data=rng.integers(0, 99, LANES).astype(np.int32), chunks=(8,))
    loss = root.create_array("loss", data=rng.normal(size=(LANES, RECORDS, 2)).astype(np.float32), chunks=(8, 3, 2))
    return folder, {"ends": ends, "loss": loss}


sources = st.lists(st.integers(-1, LANES - 1) | st.just(-1), min_size=1, max_size=20)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(sources, st.data())
def test_known_and_new_lanes_together(theirs, source, data):
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


def test_a_store_that_has_lost_what_was_to_be_taken_over_is_named(theirs, tmp_path):
    root = zarr.create_group(tmp_path / STORE)
    lost = root.create_array("ends", shape=(LANES,), chunks=(8,), dtype="i4")
    known = ReusedRuns(np.arange(LANES), {"ends": lost}, tmp_path)
    with pytest.raises(
        StoreError, match=f"{tmp_path}, whose runs were being taken over, has changed: ends lacks a chunk"
    ):
        known.merged("ends", slice(0, 8), np.zeros(0, np.int32))


def runs(rates):
    return trained(bowl(), rules.gd, {"lr": rates, "seed": 2}, steps=12, probes={"x": lambda step: step.params})


RATES = np.linspace(0.1, 0.6, 11)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """A finished store of every other rate."""
    folder = tmp_path_factory.mktemp("earlier")
    points, groups = runs(RATES[::2])
    with Store(folder, points) as store:
        execute(groups, store, Settings(chunk=8, tile=5))
    return folder


def taken(folder, group):
    """What a group can take from the store in a folder."""
    here = zarr.open_group(folder / STORE, mode="r")["group_0"]
    lanes = {pair: lane for lane, pair in enumerate(zip(here["lr"][:], here["seed"][:], strict=True))}
    source = [lanes.get(pair, -1) for pair in zip(group.columns["lr"], group.columns["seed"], strict=True)]
    return ReusedRuns(np.array(source), {name: here[name] for name in here.attrs["results"]}, folder)


@pytest.mark.parametrize("tile", [3, None])
def test_what_is_known_is_not_run_and_stands_beside_what_is(earlier, tile, tmp_path):
    points, groups = runs(RATES)
    known = taken(earlier, groups[0])
    assert (known.runs >= 0).sum() == 12
    evaluated = []
    with Store(tmp_path, points, known={0: known}) as store:
        series = store.series
        store.series = lambda index, where, first, records: (
            evaluated.append(len(records["loss"])) or series(index, where, first, records)
        )
        execute(groups, store, Settings(chunk=8, tile=tile))
    assert sum(evaluated) == 10
    assert_same_bits(open_store(tmp_path), executed(points, groups, Settings(chunk=8)))


def test_where_all_is_known_nothing_is_run(earlier, tmp_path, programs):
    points, groups = runs(RATES[::2])
    with Store(tmp_path, points, known={0: taken(earlier, groups[0])}) as store:
        (timing,) = execute(groups, store, Settings(chunk=8, tile=4))
    assert not programs
    assert timing.compile_seconds == 0
    assert_same_bits(open_store(tmp_path), open_store(earlier))


@pytest.mark.parametrize("tile", [4, None])
def test_a_store_that_took_lanes_over_goes_on_without_them(earlier, tile, tmp_path, segmented):
    segmented(4)
    points, groups = runs(RATES)
    asked = iter([False, True])
    known = {0: taken(earlier, groups[0])}
    with pytest.raises(Stopped), Store(tmp_path, points, known=known) as store:
        execute(groups, store, Settings(chunk=8, tile=tile, stop=lambda: next(asked)))
    with Store(tmp_path, points, resume=True) as store:
        execute(groups, store, Settings(chunk=8, tile=tile))
    assert_same_bits(open_store(tmp_path), executed(points, groups, Settings(chunk=8)))
