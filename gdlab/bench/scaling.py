"""How the engine's time grows with the number of runs, and its memory."""

import resource
import statistics
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from gdlab.bench.contest import Tell
from gdlab.bench.jax_contestants import by_engine
from gdlab.bench.table import Measured, Table, figures
from gdlab.bench.task import count
from gdlab.bench.tasks.rosenbrock import rosenbrock

COUNTS = (1_000, 10_000, 100_000, 1_000_000)
STEPS = 200
# The runs are a grid of so many decays, and of rates for the rest.
BETAS = 25


class Size(NamedTuple):
    """What a sweep of so many runs took."""

    runs: int
    seconds: float  # the median; compiled before
    peak_bytes: int  # the most memory that the process has held so far, on the host

    @property
    def seconds_per_run(self) -> float:
        """Seconds over runs."""
        return self.seconds / self.runs


def scaling(
    repeats: int, tell: Tell = lambda text: None, counts: Sequence[int] = COUNTS, steps: int = STEPS
) -> list[Size]:
    """Momentum on Rosenbrock's function, in sweeps of ever more runs (each rounded up to a multiple of 25)."""
    sizes = []
    for wanted in sorted(counts):  # a process's peak never falls, so it is each sweep's own only in this order
        task = rosenbrock(rates=-(-wanted // BETAS), betas=BETAS, steps=steps)
        tell(f"{count(task):,} runs")
        train = by_engine(task)
        train()
        times = []
        for _ in range(repeats):
            began = time.perf_counter()
            train()
            times.append(time.perf_counter() - began)
        sizes.append(Size(count(task), statistics.median(times), _peak_bytes()))
    return sizes


def measured(sizes: Sequence[Size], repeats: int, steps: int = STEPS) -> Measured:
    """The sizes as a table."""
    rows = [
        (
            f"{size.runs:,}",
            figures(size.seconds),
            figures(1e6 * size.seconds_per_run),
            figures(size.runs * steps / size.seconds),
            f"{size.peak_bytes / 2**20:,.0f}",
        )
        for size in sizes
    ]
    table = Table(
        f"scaling: Rosenbrock's function, momentum, {steps} steps",
        ("runs", "seconds", "microseconds a run", "updates/s", "peak memory, MiB"),
        rows,
        (f"Medians of {repeats}, compiled before. Memory: the most that the process held up to then, on the host.",),
    )
    return Measured(table, {"steps": steps, "sizes": [size._asdict() for size in sizes]})


def _peak_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage counts bytes on macOS, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
