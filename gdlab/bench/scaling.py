"""How the engine's time grows with the number of runs, and its memory."""

import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from gdlab.bench.contest import Tell
from gdlab.bench.jax_contestants import by_engine
from gdlab.bench.table import Measured, Table, figures
from gdlab.bench.task import count
from gdlab.bench.tasks.tanh import tanh

COUNTS = (1_000, 10_000, 100_000, 1_000_000)
STEPS = 500
# Seconds from which on a sweep is not run a second time: that it is compiled meanwhile is then not seen.
LONG = 20


class Size(NamedTuple):
    """What a sweep of so many runs took."""

    runs: int
    seconds: float  # the median; compiled before, but for sweeps of more than `LONG` seconds
    peak_bytes: int  # the most memory that the process has held so far, on the host

    @property
    def seconds_per_run(self) -> float:
        """Seconds over runs."""
        return self.seconds / self.runs


def scaling(
    repeats: int, tell: Tell = lambda text: None, counts: Sequence[int] = COUNTS, steps: int = STEPS
) -> list[Size]:
    """Sweeps of ever more rates of gradient descent on a tiny network (see `gdlab.bench.tasks.tanh`)."""
    sizes = []
    for wanted in sorted(counts):  # a process's peak never falls, so it is each sweep's own only in this order
        task = tanh(rates=wanted, steps=steps)
        tell(f"{count(task):,} runs")
        train = by_engine(task)
        first = _seconds(train)
        times = [first] if first > LONG else [_seconds(train) for _ in range(repeats)]
        sizes.append(Size(count(task), statistics.median(times), _peak_bytes()))
    return sizes


def _seconds(train: Callable[[], Any]) -> float:
    began = time.perf_counter()
    train()
    return time.perf_counter() - began


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
        f"scaling: 1-16-1 tanh network, {steps} steps of gradient descent",
        ("runs", "seconds", "microseconds a run", "updates/s", "peak memory, MiB"),
        rows,
        (
            f"Medians of {repeats}, compiled before; sweeps of more than {LONG} s once, compiled meanwhile. "
            "Memory: the most that the process held up to then, on the host.",
        ),
    )
    return Measured(table, {"steps": steps, "sizes": [size._asdict() for size in sizes]})


def _peak_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage counts bytes on macOS, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
