"""The compiled programs of a sweep, on two devices, hold nothing by which these would talk or wait for each other."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TALK = ("all-reduce", "all-gather", "all-to-all", "collective-permute", "collective-broadcast", "reduce-scatter")


@pytest.fixture(scope="module")
def texts():
    """The HLO of the programs of some sweeps, by sweep; of `talking` that of one whose devices do talk."""
    script = Path(__file__).with_name("two_device_programs.py")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def talk_in(text):
    return [word for word in TALK if word in text]


def test_no_program_of_a_sweep_holds_a_collective(texts):
    for name in texts.keys() - {"talking"}:
        for text in texts[name]:
            assert "num_partitions=2" in text, name
            assert talk_in(text) == [], name


def test_a_program_whose_devices_talk_would_be_found(texts):
    (text,) = texts["talking"]
    assert "num_partitions=2" in text
    assert talk_in(text) == ["all-reduce"]


def test_lanes_were_started_advanced_landed_and_moved(texts):
    for name in ("network", "bowl", "uneven"):
        assert len(texts[name]) >= 3
        assert texts[f"{name}, moving"]
