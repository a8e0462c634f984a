"""Time from the start of `gdlab run` to its last figure, with and without compiled programs in the cache."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gdlab.bench.comparison import Tell
from gdlab.bench.table import Measured, Table, figures
from gdlab.engine.devices import CACHE
from gdlab.errors import UserError

CONFIG = Path("configs/quickstart.yaml")
HEADER = ("process", "seconds", "time / import of jax")
# The least that a process with JAX does; other times are reported as ratios to its time.
BASE = "import jax; jax.numpy.zeros(3)"
RUN = "from gdlab.cli import main; main()"


class Round(NamedTuple):
    """Seconds of one round."""

    base: float  # from the start to the end of a process that imports JAX and makes an array
    cold: float  # from the start of `gdlab run` to its last figure, with an empty cache of compiled programs
    warm: float  # the same, with the programs of the cold run in the cache


def first_figure(config: Path, repeats: int, tell: Tell = lambda text: None) -> Measured:
    """Run a config in new processes, which write to a temporary folder: with an empty cache, then with a filled one.

    Raises:
        UserError: the config can't be run, or it draws no figure.
    """
    rounds = []
    for number in range(repeats):
        tell(f"first-figure: round {number + 1} of {repeats}")
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(_round(config.resolve(), Path(folder)))
    return measured(config.name, rounds)


def measured(name: str, rounds: Sequence[Round]) -> Measured:
    """The medians as a table, and all times as plain data."""
    times = dict(zip(Round._fields, np.asarray(rounds).T, strict=True))
    names = {"base": "import jax, make an array", "cold": "gdlab run, cold cache", "warm": "gdlab run, warm cache"}
    ratios = {key: float(np.median(own / times["base"])) for key, own in times.items()}
    rows = [(names[key], figures(float(np.median(own))), f"{ratios[key]:.2f}") for key, own in times.items()]
    note = f"Medians of {len(rounds)}. Cold cache: no compiled programs on disk; warm: those of the cold run."
    return Measured(
        Table(f"first-figure: from the start of the process to the last figure of {name}", HEADER, rows, (note,)),
        {
            "config": name,
            "seconds": {key: own.tolist() for key, own in times.items()},
            "ratios": ratios,
        },
    )


def _round(config: Path, folder: Path) -> Round:
    began = time.time()
    process((sys.executable, "-c", BASE), folder / "cache")
    base = time.time() - began
    return Round(base, *(_until_last_figure(config, folder / name, folder / "cache") for name in ("cold", "warm")))


def _until_last_figure(config: Path, out: Path, cache: Path) -> float:
    began = time.time()
    process((sys.executable, "-c", RUN, "run", str(config), "--out", str(out), "--quiet"), cache)
    drawn = [path.stat().st_mtime for path in out.glob("*/*/figures/*")]
    if not drawn:
        raise UserError(f"{config}: the config draws no figure, so there is no time to measure")
    return max(drawn) - began


def process(words: Sequence[str], cache: Path) -> None:
    """Run a process, with its cache of compiled programs in a folder.

    Raises:
        UserError: the process failed; the message has its error output.
    """
    done = subprocess.run(words, env={**os.environ, CACHE: str(cache)}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{' '.join(words[2:])} failed with exit code {done.returncode}:\n{done.stderr.strip()}")
