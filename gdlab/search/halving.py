"""Successive halving (Jamieson & Talwalkar, 2016): only the best points of each rung continue. https://arxiv.org/abs/1502.07943"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab.analysis.selection import RULE, SEED, Direction
from gdlab.engine.dataset import Piece, assemble
from gdlab.engine.plan import Group, plan
from gdlab.engine.space import Over, Space, refuse_repeats
from gdlab.search.brackets import Bracket, rung_steps
from gdlab.search.ranges import SearchError
from gdlab.search.rungs import run_rungs
from gdlab.training.sweep import STATIC, ProblemLike, RuleLike, assignment, mark_directions, metric_directions

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

    At each rung the n remaining points of a rule are ranked by the median of `metric` over seeds at that step. A
    diverged run is worse than all others; of equal points the first is better. The best floor(n / eta) points, at least
    one, continue from their current state, so a run that reaches `steps` equals the same run of a sweep. The other
    points are removed from the devices. The points of each rule are ranked separately, since rules are compared at
    their best points.

    All runs are held in memory at once.

    Args:
        problem, rule, over: as in `gdlab.sweep`. Points that differ only in axes that a rule lacks are one point.
        steps: the steps of the runs that are never dropped.
        first: the steps of the first rung; the others are at first eta, first eta^2, ..., and `steps`.
        eta: 1/eta of the points continue at each rung.
        metric: the variable by which points are ranked. The largest value is best for a metric that is marked with
            `gdlab.maximise` or whose name ends in `accuracy`, else the smallest (see
            `gdlab.analysis.selection.sign_of`).
        every: as in `gdlab.sweep`; `first` must be a multiple of it.
        static, progress: as in `gdlab.sweep`.
        chunk: as in `gdlab.sweep`; on a CPU the default is small enough that the last rungs, with few runs, are cheap.
        settings: `batch_size`, `sampling`, `probes`, `stop` and `seed`, as in `gdlab.sweep`.

    Returns:
        The Dataset of a sweep, with the additional variable `rung`, the index of the last rung of each run. For a
        dropped run, `final_loss`, `steps_taken` and the other outcomes are those at the step at which it was dropped,
        and series are NaN (or -1) after that step. Attributes: `rung_steps`, the steps of each rung; `budget`, the
        total steps of all runs; `budget_of_sweep`, the total steps of the full sweep; `chunk`, the chunk that was used.
        A sweep with the same chunk has bitwise equal runs; with another chunk they are equal up to rounding. On an
        endless stream, the loss at every rung is on the same batch.

    Raises:
        SearchError: `steps`, `first` or `eta` for which no point is dropped, or a rung between two records.
        gdlab.errors.SelectionError: no such metric.
        gdlab.engine.runner.OutOfMemoryError: the memory of the devices is too small to hold all runs at once.
        gdlab.engine.space.SpaceError, ValueError: as `gdlab.sweep`.

    Source: Jamieson & Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization, 2016.
    """
    refuse(steps, first, eta, every)
    if first * eta > steps:
        most = steps // eta
        raise SearchError(
            f"no point is dropped before step {steps}: first={first} must be at most {most} for eta={eta}"
        )
    build, points = assignment(problem, rule, over, steps=steps, every=every, **settings)
    refuse_repeats(points)
    groups = plan(points, build, (*STATIC, *static))
    brackets = [Bracket(runs, eta) for runs in _runs_of_rules(points, groups)]
    directions = metric_directions(problem, points)
    return run_brackets(points, groups, brackets, rung_steps(first, steps, eta), metric, directions, chunk, progress)


def refuse(steps: int, first: int, eta: int, every: int | None) -> None:
    """Check the arguments that define the rungs.

    Raises:
        SearchError: an argument is invalid; the message names it.
    """
    if eta != int(eta) or eta < 2:
        raise SearchError(f"eta must be an integer of at least 2, not {eta}")
    if not 1 <= first <= steps:
        raise SearchError(f"first must be between 1 and steps={steps}, not {first}")
    if every is not None and every > 0 and first % every:
        raise SearchError(f"first must be a multiple of every={every}, the steps between two records, not {first}")


def run_brackets(
    points: Space,
    groups: Sequence[Group],
    brackets: Sequence[Bracket],
    rungs: Sequence[int],
    metric: str,
    directions: Mapping[str, Direction],
    chunk: int | None,
    progress: "Callable[[Progress], None]",
) -> "xarray.Dataset":
    """Run the brackets over their rungs and return the Dataset of `halving`."""
    trained = run_rungs(groups, brackets, rungs, metric, directions.get(metric), chunk, progress)
    pieces = [Piece(group.covers, results) for group, results in zip(groups, trained.results, strict=True)]
    process = groups[0].process
    data = assemble(points, pieces, trained.series, np.arange(0, process.steps, process.every))
    budget = sum(int(np.asarray(rungs)[results["rung"]].sum()) for results in trained.results)
    data.attrs = {
        "rung_steps": list(rungs),
        "budget": budget,
        "budget_of_sweep": process.steps * sum(group.size for group in groups),
        "chunk": trained.chunk,
        "compile_seconds": trained.compile_seconds,
        "run_seconds": trained.run_seconds,
    }
    return mark_directions(data, directions)


def run_indices(points: Space, groups: Sequence[Group]) -> np.ndarray:
    """The index of the run of each point with each seed, [points, seeds], consecutive over the groups.

    If the seeds are zipped with other axes, each seed belongs to a point and the second dim has length 1.
    """
    runs = np.zeros(points.shape, int)
    before = 0
    for group in groups:
        for cover in group.covers:
            runs[np.ix_(*cover.rows)] = before + cover.run_numbers()
        before += group.size
    dims = [block.dim for block in points.blocks]
    if SEED not in dims:
        return runs.reshape(-1, 1)
    return np.moveaxis(runs, dims.index(SEED), -1).reshape(-1, points.shape[dims.index(SEED)])


def _runs_of_rules(points: Space, groups: Sequence[Group]) -> list[np.ndarray]:
    """For each rule, the indices of the runs of its points, [points, seeds]; points with the same runs are merged."""
    runs = run_indices(points, groups)
    runs = runs[np.sort(np.unique(runs[:, 0], return_index=True)[1])]
    rules = np.repeat([str(group.static.get(RULE)) for group in groups], [group.size for group in groups])[runs[:, 0]]
    return [runs[rules == rule] for rule in dict.fromkeys(rules)]
