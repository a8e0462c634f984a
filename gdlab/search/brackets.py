"""Arithmetic of successive halving: the steps of the rungs, the sizes of the brackets, and which points continue."""

import numpy as np


def rung_steps(first: int, steps: int, eta: int) -> list[int]:
    """The steps at which points are ranked, and the steps of a full run: first, first eta, first eta^2, ..., steps.

    There is one rung for each power of eta (from eta^0) up to steps / first. If steps / first is not a power of eta,
    the ratio of the last two rungs is larger than eta.

    >>> rung_steps(1, 81, 3), rung_steps(10, 100, 3)
    ([1, 3, 9, 27, 81], [10, 30, 100])
    """
    rungs = [first]
    while rungs[-1] * eta <= steps:
        rungs.append(rungs[-1] * eta)
    return [*rungs[:-1], steps]


def bracket_sizes(most: int, eta: int) -> dict[int, int]:
    """The initial number of points of each bracket of Hyperband, by its number of rankings s = most, ..., 0.

    The number is ceil((most + 1) / (s + 1) eta^s), so that all brackets have about the same budget (Li et al., 2018,
    Algorithm 1).

    >>> bracket_sizes(4, 3)
    {4: 81, 3: 34, 2: 15, 1: 8, 0: 5}
    """
    return {s: -(-(most + 1) * eta**s // (s + 1)) for s in range(most, -1, -1)}


class Bracket:
    """Points that are ranked against each other at each rung, starting at the rung with index `entry`.

    `runs[p, s]` is the index of the run of point p with seed s.
    """

    def __init__(self, runs: np.ndarray, eta: int, entry: int = 0) -> None:
        self._runs, self._eta, self._entry = runs, eta, entry
        self._left = np.arange(len(runs))  # the points that have not been dropped, in their original order

    def run_counts(self, rungs: int) -> list[int]:
        """For each of `rungs` rungs, the number of runs that train up to it."""
        points = [len(self._runs)]
        for rung in range(rungs - 1):
            points.append(self._kept(points[-1]) if rung >= self._entry else points[-1])
        return [count * self._runs.shape[1] for count in points]

    def drop(self, rung: int, badness: np.ndarray) -> np.ndarray:
        """Drop all points but the best 1/eta (at least one), and return the indices of the dropped runs.

        `badness[i]` is the badness of run i, lower being better. The badness of a point is the median over its seeds.
        Of equal points the first is better.
        """
        if rung < self._entry:
            return np.zeros(0, int)
        # The median of two infinities of the same sign is that infinity, so no median is NaN.
        order = np.argsort(np.median(badness[self._runs[self._left]], axis=1), kind="stable")
        kept = self._kept(len(order))
        dropped, self._left = self._left[order[kept:]], self._left[np.sort(order[:kept])]
        return self._runs[dropped].reshape(-1)

    def _kept(self, points: int) -> int:
        return max(1, points // self._eta)
