"""A small sweep in a store with many tiles and segments, and functions that interrupt it."""

import itertools
from contextlib import contextmanager

import pytest

from gdlab.engine import group_metadata, layout
from gdlab.engine import write_store as store
from gdlab.engine.execute import Settings, execute
from gdlab.engine.tile_run import TileRun
from gdlab.engine.write_store import Store
from gdlab.rules import gd, momentum
from tests.engine.engine_cases import bowl, trained

# Two groups of 21 runs in tiles of 8. The largest rate diverges; its runs are the last of each row.
OVER = {"seed": 3, "lr": [0.5, 0.25, 1.0, 0.0, 0.125, 0.375, 2.0**50]}
TILED = Settings(tile=8)


def runs(over=OVER):
    probes = {"x": lambda step: step.params}
    return trained(bowl(), {"gd": gd, "heavy": momentum}, over, steps=24, every=2, probes=probes)


@contextmanager
def cut_small():
    """Four segments of three records; `x` has a chunk for each segment, `loss` one chunk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "WORTHWHILE", 1.0)
        patch.setattr(layout, "SEGMENTS", 4)
        patch.setattr(group_metadata, "BUFFERED", 8 * 12 * 4)
        yield


def kept_often(monkeypatch):
    """Write a checkpoint after each segment."""
    monkeypatch.setattr(store, "OFTEN", -1.0)


def go(folder, planned, settings=TILED, **how):
    """Run what is missing in a folder; returns the messages about damage."""
    points, groups = planned
    with Store(folder, points, **how) as sink:
        execute(groups, sink, settings)
    return sink.notes


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in (folder / "store.zarr").rglob("*") if p.is_file()}


def assert_same_files(folder, wanted):
    found, wanted = files(folder), files(wanted)
    assert sorted(found) == sorted(wanted)
    assert [name for name in wanted if found[name] != wanted[name]] == []
    assert not list(folder.glob(".checkpoint*"))


class PowerError(Exception):
    """The process is interrupted."""


def until(segment, monkeypatch):
    """Interrupt the process after `segment` segments have started."""
    count, advance = itertools.count(1), TileRun.advance

    def advanced(self, number):
        if next(count) > segment:
            raise PowerError
        return advance(self, number)

    monkeypatch.setattr(TileRun, "advance", advanced)
