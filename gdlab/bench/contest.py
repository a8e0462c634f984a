"""Contestants that do the same work, timed by turns in one process: what else the machine does meets them all."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Tell = Callable[[str], None]


class Contestant(NamedTuple):
    """Somebody's way to do the work."""

    name: str
    prepare: Callable[[], Callable[[], np.ndarray]]  # each call of what it returns does the work: final losses [runs]
    runs: np.ndarray | None = None  # the numbers of the runs that are trained; None: all
    share: float = 1.0  # of the whole work; times are divided by it
    guest: bool = False  # of another framework: where it fails, that is a result


class Standing(NamedTuple):
    """What one contestant took."""

    name: str
    runs: int  # trained in each repeat
    share: float  # of the whole work
    seconds: tuple[float, ...]  # of each repeat, for the whole work; none if it failed
    first_seconds: float  # of the first call, compilation included, as measured; NaN if it failed
    apart: float  # how far its final losses are from the first contestant's, see `distance`; NaN if it failed
    failure: str = ""  # why there are no times

    @property
    def median(self) -> float:
        """The median of its times; NaN if it failed."""
        return float(np.median(self.seconds)) if self.seconds else float("nan")


def race(
    contestants: Sequence[Contestant],
    repeats: int,
    tell: Tell = lambda text: None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Standing]:
    """Call every contestant once, which compiles it, then all of them in turn, `repeats` times.

    A guest that fails in its first call is out, and its standing says why.
    """
    standings: list[Standing] = []
    ready: list[tuple[int, Callable[[], np.ndarray]]] = []
    for contestant in contestants:
        tell(f"{contestant.name}: first call")
        try:
            work = contestant.prepare()
            began = clock()
            losses = work()
            taken = clock() - began
        except Exception as error:
            if not contestant.guest:
                raise
            reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            standings.append(Standing(contestant.name, 0, contestant.share, (), np.nan, np.nan, reason))
            continue
        if not ready:
            reference = losses
        apart = distance(losses, reference if contestant.runs is None else reference[contestant.runs])
        place = len(standings)
        standings.append(Standing(contestant.name, len(losses), contestant.share, (), taken, apart))
        ready.append((place, work))
    for repeat in range(repeats):
        tell(f"round {repeat + 1} of {repeats}")
        for place, work in ready:
            began = clock()
            work()
            taken = (clock() - began) / standings[place].share
            standings[place] = standings[place]._replace(seconds=(*standings[place].seconds, taken))
    return standings


def ratio(one: Standing, other: Standing) -> float:
    """How many times as long as the other one took: the median over the rounds; NaN if either failed."""
    if not (one.seconds and other.seconds):
        return float("nan")
    return float(np.median(np.divide(one.seconds, other.seconds)))


def distance(losses: np.ndarray, reference: np.ndarray) -> float:
    """The largest |loss - reference| / (|reference| + 1e-6) of any run; infinite where only one of the two is NaN."""
    gap = np.abs(losses - reference) / (np.abs(reference) + 1e-6)
    lost = np.isnan(losses), np.isnan(reference)
    return float(np.max(np.where(lost[0] & lost[1], 0.0, np.where(lost[0] | lost[1], np.inf, gap)), initial=0.0))


def subset(total: int, count: int) -> tuple[np.ndarray, float]:
    """The numbers of at most `count` runs spread over all of them, and the share that they are."""
    numbers = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))
    return numbers, len(numbers) / total
