"""Caches of programs of a test's own; runs cut into many segments; stores cut small."""

from collections import OrderedDict

import pytest

from gdlab.engine import chunk_programs, layout, program
from tests.engine.stored_runs import cut_small, go, kept_often, runs


@pytest.fixture
def programs(monkeypatch):
    """The programs compiled since the test began."""
    monkeypatch.setattr(program, "_compiled", OrderedDict())
    monkeypatch.setattr(chunk_programs, "_cache", OrderedDict())
    return program._compiled


@pytest.fixture
def segmented(monkeypatch):
    """Runs are cut into as many segments as long ones are, however small they are; a function that sets how many."""
    monkeypatch.setattr(layout, "WORTHWHILE", 1.0)
    return lambda segments: monkeypatch.setattr(layout, "SEGMENTS", segments)


@pytest.fixture(scope="module")
def small():
    """Stores are cut into small pieces."""
    with cut_small():
        yield


@pytest.fixture
def often(monkeypatch):
    """A snapshot is kept after each segment."""
    kept_often(monkeypatch)


@pytest.fixture(scope="module")
def planned():
    """A small sweep, ready to go into a store."""
    return runs()


@pytest.fixture(scope="module")
def whole_store(tmp_path_factory, planned, small):
    """The folder of an unbroken run of it."""
    folder = tmp_path_factory.mktemp("whole")
    go(folder, planned)
    return folder
