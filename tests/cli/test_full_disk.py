"""A full disk stops a run with a message; with free space `gdlab resume` continues it, and nothing is lost."""

import subprocess

import pytest

from tests.real_processes import OFTEN, WITH_FIGURES, assert_same, the_folder, with_config


@pytest.fixture
def disk(tmp_path):
    """A small disk with the config."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", place], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no disk can be mounted here")
    yield with_config(place)
    subprocess.run(["umount", "--lazy", place], check=True)


def assert_told(done, folder, cause):
    assert done.code == 1, done
    assert cause in done.err
    assert "; what was done is kept. To go on: gdlab resume " in done.err
    assert f"{folder.name}\n" in done.err
    assert "Traceback" not in done.err


@pytest.mark.slow
def test_a_full_disk_is_reported_and_resume_continues(processes, disk, with_figures):
    """The disk fills up at each event in turn, and is cleared each time."""
    ballast = disk / "ballast"
    done = processes.call(disk, "run", "c.yaml", *WITH_FIGURES, knobs=OFTEN, at=("metadata", 40), ballast=ballast)
    folder = the_folder(disk)
    assert_told(done, folder, f"the disk of results/kept/{folder.name} is full")
    for at in [
        ("metadata", 1), ("chunk", 30), ("checkpoint", 6), ("manifest", 2), ("table", 1), ("landscape", 20),
        ("provenance", 1), ("figure", 2),
    ]:  # fmt: skip
        ballast.unlink()
        done = processes.call(disk, "resume", folder, *WITH_FIGURES[2:], knobs=OFTEN, at=at, ballast=ballast)
        assert ballast.exists(), at
        assert_told(done, folder, f"the disk of {folder} is full")
    ballast.unlink()
    done = processes.call(disk, "resume", folder, *WITH_FIGURES[2:], knobs=OFTEN)
    assert done.code == 0, done.err
    assert (folder / "figures" / "loss_curves.png").exists()
    assert_same(folder, with_figures)


def test_a_folder_that_can_not_be_made_is_removed(processes, disk):
    done = processes.call(disk, "run", "c.yaml", at=("begin", 1), ballast=disk / "ballast")
    assert done.code == 1
    assert done.err.endswith("No space left on device; nothing has been run\n")
    assert list((disk / "results" / "kept").iterdir()) == []


def test_a_file_above_the_size_limit_is_named(processes, home, uninterrupted):
    done = processes.call(home, "run", "c.yaml", knobs=OFTEN, room=10_000)
    folder = the_folder(home)
    assert_told(done, folder, "File too large")
    done = processes.call(home, "resume", folder, knobs=OFTEN)
    assert done.code == 0, done.err
    assert_same(folder, uninterrupted)
