"""Caches of programs of a test's own; runs cut into many segments."""

from collections import OrderedDict

import pytest

from gdlab.engine import layout, program, walk


@pytest.fixture
def programs(monkeypatch):
    """The programs compiled since the test began."""
    monkeypatch.setattr(program, "_compiled", OrderedDict())
    monkeypatch.setattr(walk, "_programs", OrderedDict())
    return program._compiled


@pytest.fixture
def segmented(monkeypatch):
    """Runs are cut into as many segments as long ones are, however small they are; a function that sets how many."""
    monkeypatch.setattr(layout, "WORTHWHILE", 1.0)
    return lambda segments: monkeypatch.setattr(layout, "SEGMENTS", segments)
