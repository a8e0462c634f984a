"""Which chunk is taken, with a clock that is made up; and that the measurement itself can be made."""

import json

import numpy as np
import pytest

from gdlab import rules
from gdlab.engine import autotune as tune
from gdlab.engine import execute as engine
from gdlab.engine.autotune import seconds, tuned
from gdlab.engine.execute import Settings, layout_of, run_mesh
from gdlab.engine.layout import Layout
from tests.engine.engine_cases import bowl, executed, trained


def runs(rates=64, seeds=3, steps=20):
    return trained(bowl(), rules.gd, {"lr": np.linspace(0.1, 0.4, rates), "seed": seeds}, steps=steps)


def laid(chunk):
    return Layout(1, 16 if chunk is None else chunk, 192, 20, 1)


@pytest.fixture
def timed(monkeypatch):
    """Makes measurements pay, and a lane take the time that is said of its chunk; gives the chunks that were timed."""
    monkeypatch.setattr(tune, "WORTHWHILE", 0.0)
    monkeypatch.setattr(tune, "_found", {})
    asked = []

    def to(**times):
        def clock(group, layout, mesh):
            asked.append(layout.chunk)
            return times.get(f"of_{layout.chunk}", 1.0)

        monkeypatch.setattr(tune, "seconds", clock)
        return asked

    return to


@pytest.fixture
def group():
    return runs()[1][0]


def test_the_fastest_of_the_chunks_nearby_is_taken(timed, group):
    asked = timed(of_4=0.7, of_32=0.5, of_64=0.6)
    assert tuned(group, run_mesh(), laid) == laid(32)
    assert sorted(asked) == [4, 8, 16, 32, 64]


def test_a_chunk_that_is_hardly_faster_is_not(timed, group):
    timed(of_32=0.97)
    assert tuned(group, run_mesh(), laid) == laid(None)


def test_little_work_is_not_measured(timed, group, monkeypatch):
    asked = timed(of_32=0.5)
    monkeypatch.setattr(tune, "WORTHWHILE", 1e15)
    assert tuned(group, run_mesh(), laid) == laid(None)
    assert asked == []


def test_a_function_has_nothing_to_measure(timed, group):
    asked = timed(of_32=0.5)
    tuned(group, run_mesh(), lambda chunk: laid(chunk)._replace(segments=0))
    assert asked == []


def test_what_was_found_is_remembered_in_a_file(timed, group, tmp_path, monkeypatch):
    asked = timed(of_32=0.5)
    path = tmp_path / "deep" / "chunks.json"
    tuned(group, run_mesh(), laid, path)
    (key,) = json.loads(path.read_text())
    assert json.loads(path.read_text())[key] == 32
    assert run_mesh().devices[0].device_kind in key
    measured = len(asked)
    monkeypatch.setattr(tune, "_found", {})  # another process
    assert tuned(group, run_mesh(), laid, path) == laid(32)
    assert len(asked) == measured
    other = trained(bowl(), rules.momentum, {"lr": [0.1, 0.2]}, steps=20)[1][0]
    tuned(other, run_mesh(), laid, path)
    assert len(asked) > measured
    assert len(json.loads(path.read_text())) == 2


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": 1}'])
def test_a_memory_that_is_damaged_is_made_again(text, timed, group, tmp_path):
    timed(of_32=0.5)
    path = tmp_path / "chunks.json"
    path.write_text(text)
    assert tuned(group, run_mesh(), laid, path) == laid(32)
    assert 32 in json.loads(path.read_text()).values()


@pytest.mark.parametrize(
    "text",
    [
        *('{"KEY": "32"}', '{"KEY": 0}', '{"KEY": -8}', '{"KEY": 8.5}', '{"KEY": true}', '{"KEY": null}'),
        *('{"KEY": 1e99}', '{"KEY": [8]}', "[1]", "{", "[" * 100_000, "\x00"),
    ],
)
def test_nonsense_in_the_memory_is_said_and_measured_again(text, timed, group, tmp_path, monkeypatch):
    timed(of_32=0.5)
    path, notes = tmp_path / "chunks.json", []
    tuned(group, run_mesh(), laid, path)
    (key,) = json.loads(path.read_text())
    monkeypatch.setattr(tune, "_found", {})  # another process
    path.write_text(text.replace("KEY", key))
    assert tuned(group, run_mesh(), laid, path, notes.append) == laid(32)
    assert f"{path}, which keeps the measured sizes of chunks, can't be used (" in notes[0]
    assert json.loads(path.read_text()) == {key: 32}


def test_a_folder_in_place_of_the_memory_is_said(timed, group, tmp_path):
    timed(of_32=0.5)
    notes = []
    assert tuned(group, run_mesh(), laid, tmp_path, notes.append) == laid(32)
    assert f"{tmp_path}, which keeps the measured sizes of chunks, can't be used (Is a directory)" in notes[0]


def test_a_chunk_that_was_measured_is_said_with_what_fixes_it(timed, group, tmp_path):
    timed(of_32=0.5)
    notes = []
    for _ in range(2):  # the second time it is remembered
        tuned(group, run_mesh(), laid, tmp_path / "chunks.json", notes.append)
    (note,) = notes
    assert note.startswith("all runs: chunks of 32 runs were measured")
    assert note.endswith("compute.chunk=32")


def test_a_chunk_that_is_asked_for_is_not_measured(timed, group):
    asked = timed()
    assert layout_of(group, Settings(chunk=4), run_mesh()).chunk == 4
    assert asked == []


@pytest.mark.parametrize("layout", [Layout(1, 64, 192, 20, 1), Layout(2, 104, 192, 20, 1), Layout(2, 40, 192, 5, 4)])
def test_a_record_of_a_lane_takes_some_time(layout):
    assert 0 < seconds(runs()[1][0], layout, run_mesh()) < 1


def test_rows_that_lanes_do_not_fill_are_measured_too():
    group = runs(rates=100, seeds=5)[1][0]
    assert seconds(group, Layout(2, 104, 500, 20, 1), run_mesh()) > 0


def test_results_are_the_same_for_a_chunk_that_was_measured(timed, monkeypatch):
    points, groups = runs()
    timed(of_32=0.5, of_48=0.5)
    used = []
    programs = engine.programs
    monkeypatch.setattr(
        engine, "programs", lambda group, layout, *rest: used.append(layout) or programs(group, layout, *rest)
    )
    found = executed(points, groups)
    assert used[0].chunk in (32, 48)
    monkeypatch.setattr(tune, "WORTHWHILE", 1e15)
    np.testing.assert_allclose(found["final_loss"], executed(points, groups)["final_loss"], rtol=1e-6)
    assert used[1].chunk != used[0].chunk
