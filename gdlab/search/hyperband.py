"""Hyperband (Li et al., 2018): successive halving from several first rungs, side by side. https://jmlr.org/papers/v18/16-558.html"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gdlab.analysis.selection import SEED
from gdlab.engine.axes import random, sobol
from gdlab.engine.plan import plan
from gdlab.engine.space import space
from gdlab.search.halving import climbed, lanes_of, refuse
from gdlab.search.ladder import Contest, bracket_sizes, rung_steps
from gdlab.search.ranges import Choice, Range, Ranges, SearchError, read
from gdlab.training.sweep import COUNTS, STATIC, ProblemLike, RuleLike, assignment
from gdlab.types import Process

if TYPE_CHECKING:
    import xarray

    from gdlab.engine.progress import Progress

BRACKET, TRIAL = "bracket", "trial"
# Rungs, at most, unless the caller says where the first is: as in the paper, with eta = 3 and a first rung at 1/81.
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
    """Draw points from `ranges` and halve them in brackets, from many that start small to few that run to the end.

    How early runs tell the good points from the bad ones is not known, so the budget is shared out: with
    S = floor(log_eta(steps / first)), bracket s of S, S - 1, ..., 0 is a `halving` of ceil((S + 1) / (s + 1) eta^s)
    points that are ranked s times, first after first eta^(S - s) steps; bracket 0 is never ranked. Brackets have about
    equal budgets. They share their rungs, and run as one.

    Args:
        problem, rule: as in `gdlab.sweep`; one rule, for rules are compared by a search of each.
        ranges: `{name: (low, high)}`, `(low, high, "log" or "linear")` or a list of options, each of which is a program
            of its own; the names are those that axes of a sweep have.
        steps, eta, metric, every: as in `halving`.
        first: the fewest steps that a run is given; by default such that there are five brackets, or fewer where the
            steps are few.
        seeds: how many, or which, for each point.
        seed: of the draws.
        draw: "random", or "sobol" for points that are evenly spread.
        chunk, progress: as in `gdlab.sweep`.
        settings: `batch_size`, `sampling`, `probes` and `stop`, as in `gdlab.sweep`.

    Returns:
        A Dataset as that of `halving` over the dims `trial` and `seed`; along `trial` there are coordinates for each
        hyperparameter and for `bracket`, s above. `rung` counts the rungs of the first bracket.

    Raises:
        SearchError: a range that is none, several rules, or as `halving`.
        gdlab.errors.SelectionError, gdlab.engine.runner.OutOfMemoryError: as `halving`.
        gdlab.engine.space.SpaceError, ValueError: as `gdlab.sweep`.

    Source: Li, Jamieson, DeSalvo, Rostamizadeh & Talwalkar, Hyperband: A Novel Bandit-Based Approach to Hyperparameter
    Optimization, JMLR 18, 2018, Algorithm 1.
    """
    within = read(ranges)
    if isinstance(rule, Mapping):
        raise SearchError("a search has one rule: search for each of several, so that each has the same budget")
    if first is None:
        between = max(1, every or 1)
        first = max(1, steps // (between * max(2, eta) ** (RUNGS - 1))) * between
    refuse(steps, first, eta, every)
    rungs = rung_steps(first, steps, eta)
    sizes = bracket_sizes(len(rungs) - 1, eta)
    rows = _drawn(within, sum(sizes.values()), draw, seed)
    build, _ = assignment(problem, rule, {tuple(within): rows, SEED: seeds}, steps=steps, every=every, **settings)

    def told_apart(static: Mapping[str, Any]) -> Process:
        # Equal points, which choices alone make, are one lane to the engine; here they compete in their own brackets.
        process = build(static)
        return process._replace(names=(*process.names, TRIAL))

    points = space({(TRIAL, *within): [(n, *row) for n, row in enumerate(rows)], SEED: seeds}, COUNTS)
    choices = [name for name, place in within.items() if isinstance(place, Choice)]
    groups = plan(points, told_apart, (*STATIC, *choices))
    brackets = np.repeat(list(sizes), list(sizes.values()))
    lanes = lanes_of(points, groups)
    contests = [Contest(lanes[brackets == s], eta, len(rungs) - 1 - s) for s in sizes]
    data = climbed(points, groups, contests, rungs, metric, chunk, progress)
    return data.swap_dims({points.blocks[0].dim: TRIAL}).assign_coords({BRACKET: (TRIAL, brackets)})


def _drawn(within: Mapping[str, Range | Choice], count: int, draw: str, seed: int) -> list[tuple[Any, ...]]:
    """Points of the ranges; of a choice each option is as likely as the others."""
    if draw not in ("random", "sobol"):
        raise SearchError(f"draw is 'random' or 'sobol', not {draw!r}")
    cube = dict.fromkeys(within, (0.0, 1.0, "linear"))
    ((_, shares),) = (random(cube, count, seed=seed) if draw == "random" else sobol(cube, count, seed=seed)).items()

    def at(place: Range | Choice, share: float) -> Any:
        return place.at(share) if isinstance(place, Range) else place.options[int(share * len(place.options))]

    return [tuple(at(place, share) for place, share in zip(within.values(), row, strict=True)) for row in shares]
