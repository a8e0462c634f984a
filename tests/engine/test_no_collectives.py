"""The compiled programs of a sweep on two devices contain no collective operation."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

COLLECTIVES = ("all-reduce", "all-gather", "all-to-all", "collective-permute", "collective-broadcast", "reduce-scatter")


@pytest.fixture(scope="module")
def texts():
    """The HLO of the programs of some sweeps, by sweep; under `collective` that of a program with a collective."""
    script = Path(__file__).with_name("two_device_programs.py")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def collectives_in(text):
    return [word for word in COLLECTIVES if word in text]


def test_programs_of_a_sweep_contain_no_collective(texts):
    for name in texts.keys() - {"collective"}:
        for text in texts[name]:
            assert "num_partitions=2" in text, name
            assert collectives_in(text) == [], name


def test_collectives_in_finds_a_collective(texts):
    (text,) = texts["collective"]
    assert "num_partitions=2" in text
    assert collectives_in(text) == ["all-reduce"]


def test_sweeps_of_this_test_start_advance_finish_and_move_runs(texts):
    for name in ("network", "bowl", "uneven"):
        assert len(texts[name]) >= 3
        assert texts[f"{name}, moving"]
