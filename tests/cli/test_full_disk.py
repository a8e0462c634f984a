"""A disk that is full stops a run with a message; once there is room, it is gone on with, and nothing is lost."""

import subprocess

import pytest
from real_processes import DRAWN, OFTEN, SMALL, assert_same, drawn, furnished, home, lab, the_folder, unbroken  # noqa: F401


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own, with the config on it."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", place], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no disk can be mounted here")
    yield furnished(place)
    subprocess.run(["umount", "--lazy", place], check=True)


def assert_told(done, folder):
    assert done.code == 1, done
    assert f"; what was done is kept. To go on: gdlab resume results/kept/{folder.name}\n" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("at", ["frame 1", "frame 50", "chunk 30", "ledger 3", "snapshot 6", "table 1", "provenance 2"])
def test_what_does_not_fit_is_said_and_the_rest_is_kept(lab, disk, unbroken, at):
    phase, number = at.split()
    stop_and_go_on(lab, disk, (), (phase, int(number)), unbroken)


@pytest.mark.parametrize("at", [("landscape", 20), ("figure", 2)])
def test_what_is_drawn_of_the_results_may_not_fit_either(lab, disk, drawn, at):
    stop_and_go_on(lab, disk, DRAWN, at, drawn)
    assert (the_folder(disk) / "figures" / "loss_curves.png").exists()


def stop_and_go_on(lab, disk, words, at, wanted):
    ballast = disk / "ballast"
    done = lab.call(disk, "run", "c.yaml", *words, knobs=OFTEN, at=at, ballast=ballast)
    folder = the_folder(disk)
    assert_told(done, folder)
    assert f"the disk that results/kept/{folder.name} is on is full" in done.err
    done = lab.call(disk, "resume", folder, knobs=OFTEN)
    assert done.code == 1  # still
    ballast.unlink()
    done = lab.call(disk, "resume", folder, knobs=OFTEN)
    assert done.code == 0, done.err
    assert_same(folder, wanted)


def test_a_folder_that_can_not_be_begun_is_not_left_there(lab, disk):
    done = lab.call(disk, "run", "c.yaml", at=("begin", 1), ballast=disk / "ballast")
    assert done.code == 1
    assert done.err.endswith("No space left on device; nothing has been run\n")
    assert list((disk / "results" / "kept").iterdir()) == []


def test_a_file_that_may_not_be_so_large_is_named(lab, home, unbroken):
    done = lab.call(home, "run", "c.yaml", knobs=OFTEN, room=10_000)
    folder = the_folder(home)
    assert_told(done, folder)
    assert "File too large" in done.err
    done = lab.call(home, "resume", folder, knobs=OFTEN)
    assert done.code == 0, done.err
    assert_same(folder, unbroken)
