"""Timing of contestants that do the same work, alternately in one process, so that other load affects all of them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Tell = Callable[[str], None]
Work = Callable[[], np.ndarray]  # returns the final losses [runs]


@dataclass(frozen=True)
class Counted:
    """Work that can count the kernels of one of its steps; None if it can't for this task."""

    work: Work
    kernels: Callable[[], int | None]

    def __call__(self) -> np.ndarray:
        return self.work()


class Contestant(NamedTuple):
    """One implementation of the work."""

    name: str
    prepare: Callable[[], Work]
    runs: np.ndarray | None = None  # the indices of the runs that it trains; None: all
    share: float = 1.0  # the fraction of the work that it does; times are divided by it
    external: bool = False  # uses another framework: a failure is reported, not raised


class Timing(NamedTuple):
    """The times of one contestant."""

    name: str
    runs: int  # the number of runs trained in each repeat
    share: float  # the fraction of the work
    seconds: tuple[float, ...]  # of each repeat, scaled to the whole work; empty if it failed
    first_seconds: float  # of the first call, with compilation, not scaled; NaN if it failed
    apart: float  # `distance` between its final losses and the final losses of the first contestant; NaN if it failed
    failure: str = ""  # the error, if it failed
    kernels_per_step: int | None = None  # None: not counted

    @property
    def median(self) -> float:
        """The median of the times; NaN if it failed."""
        return float(np.median(self.seconds)) if self.seconds else float("nan")


def compare(
    contestants: Sequence[Contestant],
    repeats: int,
    tell: Tell = lambda text: None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Timing]:
    """Call every contestant once, to compile it, then all of them in turn, `repeats` times.

    An external contestant that fails in its first call is not called again, and its timing holds the error.
    """
    timings: list[Timing] = []
    ready: list[tuple[int, Work]] = []
    for contestant in contestants:
        tell(f"{contestant.name}: first call")
        try:
            work = contestant.prepare()
            began = clock()
            losses = work()
            taken = clock() - began
        except Exception as error:
            if not contestant.external:
                raise
            reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            timings.append(Timing(contestant.name, 0, contestant.share, (), np.nan, np.nan, reason))
            continue
        if not ready:
            reference = losses
        apart = distance(losses, reference if contestant.runs is None else reference[contestant.runs])
        place = len(timings)
        kernels = work.kernels() if isinstance(work, Counted) else None
        timings.append(
            Timing(contestant.name, len(losses), contestant.share, (), taken, apart, kernels_per_step=kernels)
        )
        ready.append((place, work))
    for repeat in range(repeats):
        tell(f"round {repeat + 1} of {repeats}")
        for place, work in ready:
            began = clock()
            work()
            taken = (clock() - began) / timings[place].share
            timings[place] = timings[place]._replace(seconds=(*timings[place].seconds, taken))
    return timings


def ratio(one: Timing, other: Timing) -> float:
    """The time of one divided by the time of the other, median over the rounds; NaN if either failed."""
    if not (one.seconds and other.seconds):
        return float("nan")
    return float(np.median(np.divide(one.seconds, other.seconds)))


def distance(losses: np.ndarray, reference: np.ndarray) -> float:
    """The largest |loss - reference| / (|reference| + 1e-6) over runs; infinite if only one of the two is NaN."""
    gap = np.abs(losses - reference) / (np.abs(reference) + 1e-6)
    lost = np.isnan(losses), np.isnan(reference)
    return float(np.max(np.where(lost[0] & lost[1], 0.0, np.where(lost[0] | lost[1], np.inf, gap)), initial=0.0))


def subset(total: int, count: int) -> tuple[np.ndarray, float]:
    """The indices of at most `count` evenly spread runs, and their fraction of all runs."""
    numbers = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))
    return numbers, len(numbers) / total
