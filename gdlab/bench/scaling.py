"""Time and memory of the engine against the number of runs."""

import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from gdlab.bench.comparison import Tell
from gdlab.bench.jax_contestants import by_engine
from gdlab.bench.table import Measured, Table, figures
from gdlab.bench.task import count
from gdlab.bench.tasks.tanh import tanh

COUNTS = (1_000, 10_000, 100_000, 1_000_000)
STEPS = 500
# A sweep that takes longer than this, in seconds, is run once, including compilation, which is then negligible.
LONG = 20


class Size(NamedTuple):
    """Time and memory of a sweep with a given number of runs."""

    runs: int
    seconds: float  # the median; without compilation, except for sweeps longer than `LONG`
    peak_bytes: int  # the peak host memory of the process so far

    @property
    def seconds_per_run(self) -> float:
        """Seconds over runs."""
        return self.seconds / self.runs


def scaling(
    repeats: int, tell: Tell = lambda text: None, counts: Sequence[int] = COUNTS, steps: int = STEPS
) -> list[Size]:
    """Time sweeps of increasing size over lr: gradient descent on a tiny network (see `gdlab.bench.tasks.tanh`)."""
    sizes = []
    for wanted in sorted(counts):  # increasing, since the peak memory of a process never decreases
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
    """A table with a row for each size, and the same numbers as plain data."""
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
            f"Medians of {repeats}, without compilation; sweeps longer than {LONG} s once, with compilation. "
            "Memory: peak host memory of the process so far.",
        ),
    )
    return Measured(table, {"steps": steps, "sizes": [size._asdict() for size in sizes]})


def _peak_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage counts bytes on macOS, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
