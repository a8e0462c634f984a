"""How much of an execution is done."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gdlab.engine.plan import Group, describe


class Progress(NamedTuple):
    """The progress of an execution: the current group, and how many runs are done."""

    group: int
    groups: int
    label: str
    phase: str  # "compile" or "run"
    done: float  # finished runs, over all groups; a started run counts in part
    runs: int  # the total number of runs
    status: Mapping[str, int]  # how many runs have each status of the process so far


class ProgressTracker:
    """Adds up the work that is done, and reports it."""

    def __init__(self, groups: Sequence[Group], report: Callable[[Progress], None]) -> None:
        self._groups, self._report = groups, report
        self._runs = sum(group.size for group in groups)
        self._done = 0.0
        self._status: dict[str, int] = {}
        self._index, self._phase = 0, "compile"
        self._tile = 0  # runs of the current tile

    def enter(self, index: int, phase: str) -> None:
        """Report that the group with this index begins to compile or to run."""
        self._index, self._phase = index, phase
        self.within(0, {})

    def begin_tile(self, runs: int) -> None:
        """Start a tile of `runs` runs."""
        self._tile = runs

    def within(self, share: float, status: Mapping[str, int]) -> None:
        """Report that this fraction of the current tile is done."""
        label = describe(self._groups[self._index])
        done = self._done + share * self._tile
        counts = _sum(self._status, status)
        self._report(Progress(self._index, len(self._groups), label, self._phase, done, self._runs, counts))

    def end_tile(self, status: Mapping[str, int]) -> None:
        """Add the current tile, which is done, to the total."""
        self._done += self._tile
        self._tile = 0
        self._status = _sum(self._status, status)
        self.within(0, {})


def _sum(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return {name: first.get(name, 0) + second.get(name, 0) for name in {**first, **second}}
