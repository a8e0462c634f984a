"""`gdlab resume` continues a run that was stopped at any point; the results are those of an uninterrupted run."""

import signal
import time
from pathlib import Path

import numpy as np
import pytest

from tests.real_processes import OFTEN, SMALL, WITH_FIGURES, assert_same, events, the_folder, with_config


def resume_until_done(processes, home, folder, kills):
    for kill in kills:
        done = processes.call(home, "resume", folder, knobs=OFTEN, at=kill)
        assert done.code == -signal.SIGKILL, (kill, done)
    done = processes.call(home, "resume", folder, knobs=OFTEN)
    assert done.code == 0, done.err
    return done


def test_resume_after_several_kills_gives_the_same_bytes(processes, home, uninterrupted):
    """Kills while a chunk is written, within a segment, and while a checkpoint is renamed."""
    done = processes.call(home, "run", "c.yaml", knobs=OFTEN, at=("chunk", 40))
    assert done.code == -signal.SIGKILL
    folder = the_folder(home)
    resume_until_done(processes, home, folder, [("segment", 6), ("checkpoint", 8)])
    assert_same(folder, uninterrupted)


def moments(life, count):
    """This many different events, at least one of each phase: the phase, and the number within it."""
    numbered, seen = [], {}
    for phase in life:
        seen[phase] = seen.get(phase, 0) + 1
        numbered.append((phase, seen[phase]))
    later = [event for event in numbered if event not in (("begin", 1), ("provenance", 1))]  # there must be a folder
    rng = np.random.default_rng(0)
    chosen = [[event for event in later if event[0] == phase][rng.integers(seen[phase] - (phase == "provenance"))]
              for phase in seen if phase != "begin"]  # fmt: skip
    others = [event for event in later if event not in chosen]
    return [*chosen, *(others[i] for i in rng.choice(len(others), count - len(chosen), replace=False))]


@pytest.mark.slow
def test_resume_after_a_kill_at_any_event_gives_the_same_bytes(processes, tmp_path, with_figures):
    kills = moments(events(with_figures), 20)
    assert {phase for phase, _ in kills} == {
        "metadata", "manifest", "segment", "checkpoint", "chunk", "table", "landscape", "provenance", "figure"
    }  # fmt: skip
    for number, kill in enumerate(kills):
        home = tmp_path / str(number)
        home.mkdir()
        with_config(home)
        done = processes.call(home, "run", "c.yaml", *WITH_FIGURES, knobs=OFTEN, at=kill)
        assert done.code == -signal.SIGKILL, kill
        resume_until_done(processes, home, the_folder(home), [])
        assert_same(the_folder(home), with_figures)
        figures = [folder / "figures" / "loss_curves.png" for folder in (the_folder(home), with_figures)]
        assert figures[0].read_bytes() == figures[1].read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_after_the_segment_and_names_resume(processes, home, uninterrupted, number):
    done = processes.call(home, "run", "c.yaml", knobs=SMALL, at=("segment", 6), signals=[number])
    folder = the_folder(home)
    assert done.code == 130
    assert "stopping after this segment" in done.err
    assert f"interrupted; what was done is kept. To go on: gdlab resume results/kept/{folder.name}" in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert list(folder.glob(".checkpoint-*.npz"))
    done = processes.call(home, "resume", folder, knobs=SMALL, events=home / "events")
    assert done.code == 0, done.err
    assert 6 + events(folder).count("segment") == events(uninterrupted).count("segment")  # no segment runs twice
    assert_same(folder, uninterrupted)


@pytest.mark.parametrize(
    "at",
    [
        ("segment", 6),
        *(pytest.param(at, marks=pytest.mark.slow) for at in (("chunk", 30), ("metadata", 20), ("table", 1))),
    ],
)
def test_a_second_interrupt_stops_at_once(processes, home, uninterrupted, at):
    done = processes.call(home, "run", "c.yaml", knobs=OFTEN, at=at, signals=[signal.SIGINT, signal.SIGTERM])
    folder = the_folder(home)
    assert done.code == 130, done
    assert f"interrupted; what was done is kept. To go on: gdlab resume results/kept/{folder.name}" in done.err
    assert "Traceback" not in done.err
    resume_until_done(processes, home, folder, [])
    assert_same(folder, uninterrupted)


def test_an_interrupt_before_anything_is_run_leaves_no_folder(processes, home):
    done = processes.call(home, "run", "c.yaml", at=("begin", 1), signals=[signal.SIGINT, signal.SIGTERM])
    assert done.code == 130
    assert done.err.endswith("interrupted\n")
    assert list((home / "results" / "kept").iterdir()) == []


def test_an_interrupt_stops_the_landscape_too(processes, home):
    """The runs of a landscape also stop after a segment."""
    done = processes.call(home, "run", "c.yaml", *WITH_FIGURES, knobs=OFTEN, at=("table", 2), signals=[signal.SIGINT])
    assert done.code == 130, done
    assert "gdlab resume" in done.err
    assert not list(the_folder(home).glob("figures/*"))


def test_only_one_process_writes_to_a_folder(processes, home, uninterrupted):
    """A killed process releases the lock."""
    first = processes.start(home, "run", "c.yaml", knobs=OFTEN, at=("chunk", 40), signals=[signal.SIGSTOP])
    while "T" not in state(first.pid):
        time.sleep(0.02)
    folder = the_folder(home)
    second = processes.call(home, "resume", folder, knobs=OFTEN)
    assert second.code == 2
    assert f"another process is writing to {folder}; wait for it, or stop it" in second.err
    first.send(signal.SIGCONT)
    done = first.wait()
    assert done.code == 0, done.err
    assert_same(folder, uninterrupted)


def state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_resume_refuses_a_folder_without_provenance(processes, home):
    done = processes.call(home, "run", "c.yaml", at=("provenance", 1))
    assert done.code == -signal.SIGKILL
    folder = the_folder(home)
    done = processes.call(home, "resume", folder)
    assert done.code == 2
    assert f"{folder} holds no results" in done.err
    assert list((home / "results" / "kept").iterdir()) == [folder]  # and `latest` does not point to it


def test_resume_after_a_kill_before_the_store_exists(processes, home, uninterrupted):
    done = processes.call(home, "run", "c.yaml", knobs=SMALL, at=("metadata", 1))
    assert done.code == -signal.SIGKILL
    folder = the_folder(home)
    done = processes.call(home, "show", folder)
    assert done.code == 2
    assert f"{folder} holds no results" in done.err
    resume_until_done(processes, home, folder, [])
    assert_same(folder, uninterrupted)
