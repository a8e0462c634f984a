"""The times that `run` and `show` print add up to the wall time, and each part has the work that it names."""

import json
import re
import time
from collections import OrderedDict

import jax
import pytest

from gdlab.cli.printing import _times
from gdlab.engine import chunk_programs, program, runner
from gdlab.experiment import run as experiment

LINE = re.compile(
    r"^(?P<wall>[0-9.]+) s in all: (?P<wait>[0-9.]+) s tracing and waiting for compilation, "
    r"(?P<run>[0-9.]+) s running, (?P<rest>[0-9.]+) s for the rest \(planning, landscapes, figures\)\n"
    r"(?P<programs>[0-9]+) programs compiled, (?P<compile>[0-9.]+) s on background threads$",
    re.MULTILINE,
)
PARTS = ("wait", "run", "rest")


def printed(result):
    assert result.exit_code == 0, result.output
    return {name: float(text) for name, text in LINE.search(result.stdout).groupdict().items()}


def provenance(tmp_path):
    return json.loads((tmp_path / "results" / "small" / "latest" / "provenance.json").read_text())


def slower(monkeypatch, owner, name, seconds):
    """Make a function take so much longer."""
    fast = getattr(owner, name)

    def slow(*args, **kwargs):
        time.sleep(seconds)
        return fast(*args, **kwargs)

    monkeypatch.setattr(owner, name, slow)


@pytest.fixture
def uncompiled(monkeypatch):
    """No program is compiled yet."""
    monkeypatch.setattr(program, "_compiled", OrderedDict())
    monkeypatch.setattr(chunk_programs, "_cache", OrderedDict())


@pytest.mark.parametrize("change", [(), ("compute.chunk=2",)], ids=["waits before", "waits within"])
def test_run_prints_times_that_add_up_to_the_wall_time(change, gdlab, write, tmp_path, uncompiled, monkeypatch):
    slower(monkeypatch, jax.stages.Lowered, "compile", 0.3)
    slower(monkeypatch, runner.TileRun, "advance", 0.4)  # two groups of one segment each
    slower(monkeypatch, experiment, "draw_all", 0.9)
    write()
    began = time.perf_counter()
    result = gdlab("run", "c.yaml", "landscape=null", "figures=[]", *change)
    elapsed = time.perf_counter() - began
    found, info = printed(result), provenance(tmp_path)
    assert sum(found[part] for part in PARTS) == pytest.approx(found["wall"], abs=1e-6)
    assert sum(info[f"{part}_seconds"] for part in PARTS) == pytest.approx(info["wall_seconds"], abs=1e-6)
    assert all(
        found[part] == pytest.approx(info[f"{part}_seconds"], abs=0.1001) for part in ("wall", *PARTS, "compile")
    )
    assert info["wall_seconds"] <= elapsed
    assert info["wait_seconds"] >= 0.3
    assert info["run_seconds"] >= 2 * 0.4
    assert info["rest_seconds"] >= 0.9
    # The other parts do not contain the pauses of one: each is at most what the pauses of the others leave.
    assert info["run_seconds"] <= elapsed - 0.3 - 0.9
    assert info["wait_seconds"] <= elapsed - 0.8 - 0.9
    assert info["rest_seconds"] <= elapsed - 0.8 - 0.3
    assert found["programs"] == info["programs"] == 6
    assert info["compile_seconds"] >= 6 * 0.3
    assert printed(gdlab("show", "results/small")) == found


def test_resume_adds_its_times(gdlab, write, tmp_path):
    write()
    first = printed(gdlab("run", "c.yaml", "landscape=null", "figures=[]"))
    result = gdlab("resume", "results/small")
    again, info = printed(result), provenance(tmp_path)
    assert again["wall"] > first["wall"]
    assert (again["programs"], again["compile"]) == (first["programs"], first["compile"])
    assert sum(info[f"{part}_seconds"] for part in PARTS) == pytest.approx(info["wall_seconds"], abs=1e-6)


def test_show_prints_the_wall_time_alone_of_results_of_an_earlier_version():
    assert _times({"groups": [], "wall_seconds": 3.04}) == "3.0 s in all"
    assert _times({}) == "not finished"
