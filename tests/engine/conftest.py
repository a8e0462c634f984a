"""A cache of programs of a test's own."""

from collections import OrderedDict

import pytest

from gdlab.engine import program


@pytest.fixture
def programs(monkeypatch):
    """The programs compiled since the test began."""
    monkeypatch.setattr(program, "_compiled", OrderedDict())
    return program._compiled
