"""Successive halving as arithmetic: at which steps points are ranked, how many of them go on, and which."""

import numpy as np


def rung_steps(first: int, steps: int, eta: int) -> list[int]:
    """The steps at which points are ranked, and last those of a whole run: first, first eta, first eta^2, ..., steps.

    There are as many as there are powers of eta up to steps / first. Where that is none itself, the last way is
    longer than by a factor of eta.

    >>> rung_steps(1, 81, 3), rung_steps(10, 100, 3)
    ([1, 3, 9, 27, 81], [10, 30, 100])
    """
    rungs = [first]
    while rungs[-1] * eta <= steps:
        rungs.append(rungs[-1] * eta)
    return [*rungs[:-1], steps]


def bracket_sizes(most: int, eta: int) -> dict[int, int]:
    """How many points each bracket of Hyperband begins with, by how often it ranks them, `most` times at most.

    ceil((most + 1) / (s + 1) eta^s), so that all brackets have about the same budget (Li et al., 2018, Algorithm 1).

    >>> bracket_sizes(4, 3)
    {4: 81, 3: 34, 2: 15, 1: 8, 0: 5}
    """
    return {s: -(-(most + 1) * eta**s // (s + 1)) for s in range(most, -1, -1)}


class Contest:
    """Points that compete for places on the next rung, from the rung number `entry` on.

    `lanes[p, s]` is the number of the run of point p with seed s.
    """

    def __init__(self, lanes: np.ndarray, eta: int, entry: int = 0) -> None:
        self._lanes, self._eta, self._entry = lanes, eta, entry
        self._left = np.arange(len(lanes))  # the points still in it, in their order

    def runs(self, rungs: int) -> list[int]:
        """How many runs go on towards each of so many rungs."""
        points = [len(self._lanes)]
        for rung in range(rungs - 1):
            points.append(self._kept(points[-1]) if rung >= self._entry else points[-1])
        return [count * self._lanes.shape[1] for count in points]

    def drop(self, rung: int, badness: np.ndarray) -> np.ndarray:
        """The runs that go no further than this rung: all but those of the best 1/eta of the points, or of the best.

        `badness[i]` is that of run i; a point's is the median over its seeds, and of equal ones the first is better.
        """
        if rung < self._entry:
            return np.zeros(0, int)
        # A median between two infinities of one sign is that infinity, so nothing here is NaN.
        order = np.argsort(np.median(badness[self._lanes[self._left]], axis=1), kind="stable")
        kept = self._kept(len(order))
        gone, self._left = self._left[order[kept:]], self._left[np.sort(order[:kept])]
        return self._lanes[gone].reshape(-1)

    def _kept(self, points: int) -> int:
        return max(1, points // self._eta)
