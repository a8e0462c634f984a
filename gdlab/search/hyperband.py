"""Hyperband (Li et al., 2018): brackets of successive halving with several first rungs. https://jmlr.org/papers/v18/16-558.html"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gdlab.analysis.selection import SEED
from gdlab.engine.axes import random, sobol
from gdlab.engine.plan import plan
from gdlab.engine.space import space
from gdlab.search.brackets import Bracket, bracket_sizes, rung_steps
from gdlab.search.halving import refuse, run_brackets, run_indices
from gdlab.search.ranges import Choice, Range, Ranges, SearchError, read
from gdlab.training.sweep import COUNTS, STATIC, ProblemLike, RuleLike, assignment, metric_directions
from gdlab.types import Process

if TYPE_CHECKING:
    import xarray

    from gdlab.engine.progress import Progress

BRACKET, TRIAL = "bracket", "trial"
# The maximum default number of rungs: with eta = 3, the first rung is at 1/81 of the steps, as in the paper.
RUNGS = 5


def hyperband(
    problem: ProblemLike,
    rule: RuleLike,
    ranges: Ranges,
    *,
    steps: int,
    first: int | None = None,
    eta: int = 3,
    seeds: int | Sequence[int] = 4,
    seed: int = 0,
    draw: Literal["random", "sobol"] = "random",
    metric: str = "final_loss",
    every: int | None = 1,
    chunk: int | None = None,
    progress: "Callable[[Progress], None]" = lambda progress: None,
    **settings: Any,
) -> "xarray.Dataset":
    """Draw points from `ranges` and run `halving` on them in several brackets, with different first rungs.

    The number of steps after which good points can be distinguished from bad points is unknown, so the budget is
    divided among brackets. Let S = floor(log_eta(steps / first)). Bracket s, for s = S, S - 1, ..., 0, is a `halving`
    of ceil((S + 1) / (s + 1) eta^s) points. Its points are ranked s times, for the first time after first eta^(S - s)
    steps; the points of bracket 0 are never ranked. The budgets of the brackets are about equal. All brackets have the
    same rungs and train in the same programs.

    Args:
        problem, rule: as in `gdlab.sweep`; one rule. To compare rules, search for each.
        ranges: `{name: (low, high)}`, `(low, high, "log" or "linear")` or a list of options; each option is compiled as
            a separate program. The names are names of axes, as in a sweep.
        steps, eta, metric, every: as in `halving`.
        first: the minimum number of steps of a run; by default there are five brackets, or fewer if `steps` is small.
        seeds: the number of seeds per point, or the seeds.
        seed: the seed of the draws of points.
        draw: "random", or "sobol" for evenly spread points.
        chunk, progress: as in `gdlab.sweep`.
        settings: `batch_size`, `sampling`, `probes` and `stop`, as in `gdlab.sweep`.

    Returns:
        The Dataset of `halving` over the dims `trial` and `seed`. Each hyperparameter and `bracket` (s above) are
        coordinates along `trial`. `rung` is an index into the rungs of the first bracket, s = S.

    Raises:
        SearchError: an invalid range, several rules, or as `halving`.
        gdlab.errors.SelectionError, gdlab.engine.runner.OutOfMemoryError: as `halving`.
        gdlab.engine.space.SpaceError, ValueError: as `gdlab.sweep`.

    Source: Li, Jamieson, DeSalvo, Rostamizadeh & Talwalkar, Hyperband: A Novel Bandit-Based Approach to Hyperparameter
    Optimization, JMLR 18, 2018, Algorithm 1.
    """
    within = read(ranges)
    if isinstance(rule, Mapping):
        raise SearchError("a search takes one rule, not a mapping of rules: search once per rule")
    if first is None:
        interval = max(1, every or 1)
        first = max(1, steps // (interval * max(2, eta) ** (RUNGS - 1))) * interval
    refuse(steps, first, eta, every)
    rungs = rung_steps(first, steps, eta)
    sizes = bracket_sizes(len(rungs) - 1, eta)
    rows = _drawn(within, sum(sizes.values()), draw, seed)
    build, _ = assignment(problem, rule, {tuple(within): rows, SEED: seeds}, steps=steps, every=every, **settings)

    def with_trial(static: Mapping[str, Any]) -> Process:
        # The engine merges equal points (possible with choices only) into one run; the axis TRIAL keeps them separate.
        process = build(static)
        return process._replace(names=(*process.names, TRIAL))

    points = space({(TRIAL, *within): [(n, *row) for n, row in enumerate(rows)], SEED: seeds}, COUNTS)
    choices = [name for name, place in within.items() if isinstance(place, Choice)]
    groups = plan(points, with_trial, (*STATIC, *choices))
    bracket_of = np.repeat(list(sizes), list(sizes.values()))
    runs = run_indices(points, groups)
    brackets = [Bracket(runs[bracket_of == s], eta, len(rungs) - 1 - s) for s in sizes]
    directions = metric_directions(problem, points)
    data = run_brackets(points, groups, brackets, rungs, metric, directions, chunk, progress)
    return data.swap_dims({points.blocks[0].dim: TRIAL}).assign_coords({BRACKET: (TRIAL, bracket_of)})


def _drawn(within: Mapping[str, Range | Choice], count: int, draw: str, seed: int) -> list[tuple[Any, ...]]:
    """Points drawn from the ranges; the options of a choice are equally likely."""
    if draw not in ("random", "sobol"):
        raise SearchError(f"draw must be 'random' or 'sobol', not {draw!r}")
    cube = dict.fromkeys(within, (0.0, 1.0, "linear"))
    ((_, shares),) = (random(cube, count, seed=seed) if draw == "random" else sobol(cube, count, seed=seed)).items()

    def at(place: Range | Choice, share: float) -> Any:
        return place.at(share) if isinstance(place, Range) else place.options[int(share * len(place.options))]

    return [tuple(at(place, share) for place, share in zip(within.values(), row, strict=True)) for row in shares]
