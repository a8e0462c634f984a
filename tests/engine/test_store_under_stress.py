"""Stores of runs that ran out of memory, and of states in dtypes that NumPy does not have."""

import itertools
import math

import jax
import numpy as np
import pytest

from gdlab.engine.execute import execute
from gdlab.engine.program import Program
from gdlab.engine.read_store import open_store
from gdlab.engine.tile_run import TileRun
from gdlab.engine.write_store import Store
from gdlab.types import Rule
from tests.engine.engine_cases import bowl, trained
from tests.engine.stored_runs import TILED, PowerError, assert_same_files, go, until

pytestmark = pytest.mark.usefixtures("small")


@pytest.fixture
def room(monkeypatch):
    """A function that limits, after some calls, how many runs of a program fit into the memory of the device."""

    def leave(runs, calls=0):
        call, count = Program.__call__, itertools.count()

        def called(self, *args):
            here = math.prod(jax.tree.leaves(self.result)[0].shape[:3])
            if next(count) >= calls and here > runs:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 12345 bytes.")
            return call(self, *args)

        monkeypatch.setattr(Program, "__call__", called)

    return leave


@pytest.mark.parametrize("calls", [0, 2, 3, 9])
def test_store_is_complete_if_memory_runs_out_on_the_way(tmp_path, planned, whole_store, room, often, calls):
    """At the start of a tile, with segments of it on disk, or in another tile."""
    room(4, calls)
    points, groups = planned
    with Store(tmp_path, points) as sink:
        timings = execute(groups, sink, TILED)
    assert [timing.layout.chunk <= 4 for timing in timings] == [True, True]
    assert_same_runs(open_store(tmp_path), open_store(whole_store))


def test_store_resumes_a_run_that_ran_out_of_memory(tmp_path, planned, whole_store, room, often, monkeypatch):
    room(4, 3)
    with monkeypatch.context() as patch:
        until(5, patch)
        with pytest.raises(PowerError):
            go(tmp_path, planned)
    go(tmp_path, planned, resume=True)
    assert_same_runs(open_store(tmp_path), open_store(whole_store))


def assert_same_runs(found, wanted):
    """Except for rounding, which may differ in a program of another width."""
    for name in wanted.variables:
        if wanted[name].dtype.kind == "f":
            np.testing.assert_allclose(found[name], wanted[name], rtol=1e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)


def chaotic(cold):
    """A rule whose state has two 16-bit dtypes and a key, which NumPy can't save as they are."""

    def init(params):
        return {"m": params.astype("bfloat16"), "key": jax.random.key(7)}

    def update(grads, state, params=None, **extra):
        key, now = jax.random.split(state["key"])
        m = (state["m"].astype("float32") * 0.5 + grads).astype("bfloat16")
        return -cold * m.astype("float32") + 0.01 * jax.random.normal(now, m.shape), {"m": m, "key": key}

    return Rule(init, update)


def test_store_resumes_a_state_of_any_dtype(tmp_path, often, monkeypatch):
    points, groups = trained(bowl(), chaotic, {"seed": 3, "cold": [0.1, 0.2, 0.3]}, steps=24)
    whole_store, torn = tmp_path / "whole", tmp_path / "torn"
    for folder in (whole_store, torn):
        folder.mkdir()
    go(whole_store, (points, groups))
    with monkeypatch.context() as patch:
        until(2, patch)
        with pytest.raises(PowerError):
            go(torn, (points, groups))
    assert list(torn.glob(".checkpoint*"))
    seen, advance = [], TileRun.advance
    monkeypatch.setattr(TileRun, "advance", lambda self, number: (seen.append(number), advance(self, number))[1])
    go(torn, (points, groups), resume=True)
    assert seen[0] == 2
    assert_same_files(torn, whole_store)
