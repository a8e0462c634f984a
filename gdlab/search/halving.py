"""Successive halving (Jamieson & Talwalkar, 2016): all points run a little, the best of them on. https://arxiv.org/abs/1502.07943"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab.analysis.selection import RULE, SEED
from gdlab.engine.dataset import Piece, assemble
from gdlab.engine.plan import Group, plan
from gdlab.engine.space import Over, Space
from gdlab.search.ladder import Contest, rung_steps
from gdlab.search.race import race
from gdlab.search.ranges import SearchError
from gdlab.training.sweep import STATIC, ProblemLike, RuleLike, assignment

if TYPE_CHECKING:
    import xarray

    from gdlab.engine.progress import Progress


def halving(
    problem: ProblemLike,
    rule: RuleLike | Mapping[str, RuleLike],
    over: Over,
    *,
    steps: int,
    first: int,
    eta: int = 3,
    metric: str = "final_loss",
    every: int | None = 1,
    static: Sequence[str] = (),
    chunk: int | None = None,
    progress: "Callable[[Progress], None]" = lambda progress: None,
    **settings: Any,
) -> "xarray.Dataset":
    """Run every point of a space for `first` steps, the best 1/eta of the points for `first` eta, and so on to `steps`.

    At each rung the n points of a rule that are left are ranked by the median over seeds of `metric` as it stands
    there, a diverged run being the worst there is and the first of equal points the better. The best floor(n / eta), or
    the best one, go on: from where they are, so that a run that reaches `steps` is the run of a plain sweep. The others
    leave the devices. Each rule has its own ranking, since rules are compared at their best points.

    All runs are held in memory at once.

    Args:
        problem, rule, over: as in `gdlab.sweep`. An axis that a rule does not have makes no points of it.
        steps: of the runs that are never dropped.
        first: the steps of the first rung; the others are at first eta, first eta^2, ..., and `steps`.
        eta: of how many points one goes on.
        metric: what points are ranked by: the least is best, or the greatest if the name ends in `accuracy`.
        every: as in `gdlab.sweep`; `first` must be a multiple of it.
        static, progress: as in `gdlab.sweep`.
        chunk: how many runs go through the program at a time; by default, on a CPU, so few that the last rungs cost
            little.
        settings: `batch_size`, `sampling`, `probes`, `stop` and `seed`, as in `gdlab.sweep`.

    Returns:
        A Dataset as that of a sweep, in which each run's `final_loss`, `steps_taken` and the like are as of the step at
        which it was dropped, and its series NaN (or -1) from there on; and `rung`, the number of the rung it reached.
        In `attrs`: `rung_steps`, the steps of each rung; `budget`, the steps that the runs were given, and
        `budget_of_sweep`, those of the sweep; `chunk`, with which a sweep has the same runs to the last bit, and
        without which to rounding. On an endless stream the loss at every rung is that on one and the same batch.

    Raises:
        SearchError: steps, a first rung or an eta that leave nothing to drop, or a rung between two records.
        gdlab.errors.SelectionError: no such metric.
        gdlab.engine.runner.OutOfMemoryError: the runs do not fit into memory all at once.
        gdlab.engine.space.SpaceError, ValueError: as `gdlab.sweep`.

    Source: Jamieson & Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization, 2016.
    """
    refuse(steps, first, eta, every)
    if first * eta > steps:
        raise SearchError(f"no point is dropped before step {steps}: first={first} must be smaller, for eta={eta}")
    build, points = assignment(problem, rule, over, steps=steps, every=every, **settings)
    groups = plan(points, build, (*STATIC, *static))
    contests = [Contest(lanes, eta) for lanes in _lanes_of_rules(points, groups)]
    return climbed(points, groups, contests, rung_steps(first, steps, eta), metric, chunk, progress)


def refuse(steps: int, first: int, eta: int, every: int | None) -> None:
    """Refuse rungs that make no sense.

    Raises:
        SearchError: they do not.
    """
    if eta != int(eta) or eta < 2:
        raise SearchError(f"eta is a whole number from 2 on, not {eta}")
    if not 1 <= first <= steps:
        raise SearchError(f"first must be at least 1, and at most steps, not {first} of {steps}")
    if every is not None and every > 0 and first % every:
        raise SearchError(f"there is a record every {every} steps: first must be a multiple of that, not {first}")


def climbed(
    points: Space,
    groups: Sequence[Group],
    contests: Sequence[Contest],
    rungs: Sequence[int],
    metric: str,
    chunk: int | None,
    progress: "Callable[[Progress], None]",
) -> "xarray.Dataset":
    """The Dataset of a race over these rungs; see `halving`."""
    raced = race(groups, contests, rungs, metric, chunk, progress)
    pieces = [Piece(group.covers, results) for group, results in zip(groups, raced.results, strict=True)]
    process = groups[0].process
    data = assemble(points, pieces, raced.series, np.arange(0, process.steps, process.every))
    given = sum(int(np.asarray(rungs)[results["rung"]].sum()) for results in raced.results)
    data.attrs = {
        "rung_steps": list(rungs),
        "budget": given,
        "budget_of_sweep": process.steps * sum(group.size for group in groups),
        "chunk": raced.chunk,
        "compile_seconds": raced.compile_seconds,
        "run_seconds": raced.run_seconds,
    }
    return data


def lanes_of(points: Space, groups: Sequence[Group]) -> np.ndarray:
    """The run of each point with each seed, [points, seeds], numbered through the groups; points in their order.

    Seeds that are no axis of their own make points.
    """
    lanes = np.zeros(points.shape, int)
    before = 0
    for group in groups:
        for cover in group.covers:
            lanes[np.ix_(*cover.rows)] = before + cover.run_numbers()
        before += group.size
    dims = [block.dim for block in points.blocks]
    if SEED not in dims:
        return lanes.reshape(-1, 1)
    return np.moveaxis(lanes, dims.index(SEED), -1).reshape(-1, points.shape[dims.index(SEED)])


def _lanes_of_rules(points: Space, groups: Sequence[Group]) -> list[np.ndarray]:
    """Of each rule the runs of its points, [points, seeds]; points that make no difference to it are one."""
    lanes = lanes_of(points, groups)
    lanes = lanes[np.sort(np.unique(lanes[:, 0], return_index=True)[1])]
    rules = np.repeat([str(group.static.get(RULE)) for group in groups], [group.size for group in groups])[lanes[:, 0]]
    return [lanes[rules == rule] for rule in dict.fromkeys(rules)]
