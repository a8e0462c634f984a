"""Fixtures: empty program caches, runs with many segments, stores with small tiles."""

from collections import OrderedDict

import pytest

from gdlab.engine import chunk_programs, layout, program
from tests.engine.stored_runs import cut_small, go, kept_often, runs


@pytest.fixture(autouse=True, scope="module")
def compiled_as_in_use(optimised):
    """Bits are compared between programs for different numbers of runs, as the compiler makes them for users."""


@pytest.fixture
def programs(monkeypatch):
    """The programs compiled since the start of the test."""
    monkeypatch.setattr(program, "_compiled", OrderedDict())
    monkeypatch.setattr(chunk_programs, "_cache", OrderedDict())
    return program._compiled


@pytest.fixture
def segmented(monkeypatch):
    """Short runs have as many segments as long ones; the fixture is a function that sets how many."""
    monkeypatch.setattr(layout, "WORTHWHILE", 1.0)
    return lambda segments: monkeypatch.setattr(layout, "SEGMENTS", segments)


@pytest.fixture(scope="module")
def small():
    """Stores have small tiles and chunks."""
    with cut_small():
        yield


@pytest.fixture
def often(monkeypatch):
    """A checkpoint is written after each segment."""
    kept_often(monkeypatch)


@pytest.fixture(scope="module")
def planned():
    """The space and the groups of a small sweep."""
    return runs()


@pytest.fixture(scope="module")
def whole_store(tmp_path_factory, planned, small):
    """The folder of an uninterrupted run of it."""
    folder = tmp_path_factory.mktemp("whole")
    go(folder, planned)
    return folder
