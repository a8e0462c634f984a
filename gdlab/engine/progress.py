"""How far an execution is, for whoever watches."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gdlab.engine.plan import Group, describe


class Progress(NamedTuple):
    """How far an execution is."""

    group: int
    groups: int
    label: str
    phase: str  # "compile" or "run"
    done: float  # lanes finished, over all groups; a part of a lane counts as that part
    lanes: int  # in all
    status: Mapping[str, int]  # how many lanes, so far, have each status of the process


class Watch:
    """Keeps count."""

    def __init__(self, groups: Sequence[Group], report: Callable[[Progress], None]) -> None:
        self._groups, self._report = groups, report
        self._lanes = sum(group.size for group in groups)
        self._done = 0.0
        self._status: dict[str, int] = {}
        self._index, self._phase = 0, "compile"
        self.of = 0  # lanes of the tile under way

    def enter(self, index: int, phase: str) -> None:
        """A group is now being compiled, or run."""
        self._index, self._phase = index, phase
        self.within(0, {})

    def within(self, share: float, status: Mapping[str, int]) -> None:
        """Such a share of the tile under way is done."""
        counted = {n: self._status.get(n, 0) + status.get(n, 0) for n in {**self._status, **status}}
        label = describe(self._groups[self._index])
        done = self._done + share * self.of
        self._report(Progress(self._index, len(self._groups), label, self._phase, done, self._lanes, counted))

    def leave(self, status: Mapping[str, int]) -> None:
        """The tile under way is done."""
        self._done += self.of
        self.of = 0
        self._status = {n: self._status.get(n, 0) + status.get(n, 0) for n in {**self._status, **status}}
        self.within(0, {})
