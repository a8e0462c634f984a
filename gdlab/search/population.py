"""Population-based training (Jaderberg et al., 2017) in one compiled program. https://arxiv.org/abs/1711.09846"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from gdlab.analysis.selection import SEED, STEP
from gdlab.engine.evaluate import run
from gdlab.engine.execute import Settings
from gdlab.engine.space import space
from gdlab.search.evolution import Change, evolving
from gdlab.search.ranges import Range, Ranges, SearchError, read
from gdlab.training.batches import Sampling
from gdlab.training.descent import NEVER
from gdlab.training.sweep import COUNTS, OWN, ProblemLike, RuleLike, assignment
from gdlab.types import Array, Process, Stop

if TYPE_CHECKING:
    import xarray

    from gdlab.engine.progress import Progress

MEMBER = "member"


def population(
    problem: ProblemLike,
    rule: RuleLike,
    ranges: Ranges,
    *,
    size: int,
    steps: int,
    interval: int,
    quantile: float = 0.2,
    factors: Sequence[float] = (0.8, 1.25),
    resample: float = 0.0,
    seeds: int | Sequence[int] = 4,
    batch_size: int | None = None,
    sampling: Sampling = "shuffle",
    stop: Stop = NEVER,
    chunk: int | None = None,
    progress: "Callable[[Progress], None]" = lambda progress: None,
) -> "xarray.Dataset":
    """Train `size` members in parallel; every `interval` steps the worst members are replaced by copies of the best.

    The hyperparameters of the members are drawn from `ranges`. All members have the same initial parameters and the
    same batches. The seed determines the draws, the initial parameters and the batches. Every `interval` steps, except
    after the last:

    1. exploit: the members are ranked by their loss on all data (on a batch for an endless stream); a diverged member
       is worse than all others. Each of the worst k = floor(quantile size) members is replaced by a copy (parameters,
       rule state and hyperparameters) of a member drawn uniformly from those of the best k that have not diverged.
    2. explore: each hyperparameter of a copy is drawn from its range again with probability `resample`; otherwise it is
       multiplied by one of `factors`, drawn uniformly, and clipped to its range.

    A population is one run of a compiled program, without host synchronisation; several populations (seeds) run at a
    time. If more than k members diverge, those that are not replaced at an exchange are replaced at later exchanges. A
    population in which all members have diverged or stopped no longer changes.

    Differs from the paper: all members are compared at the same step, while in the paper they run asynchronously. A
    member among the worst k is always replaced, even if it is not much worse than the best.

    Args:
        problem, rule: as in `gdlab.sweep`; one rule.
        ranges: `{name: (low, high)}` or `(low, high, "log" or "linear")`, for numbers that the rule takes, or
            that the problem takes (named `problem.x`). They change during a run, so they can't set a shape, and lists
            of options are refused.
        size: the number of members.
        steps: the steps of each member.
        interval: the steps between two exchanges; there is no exchange if it is at least `steps`.
        quantile: the fraction of members that are replaced, and the fraction of members that can be copied; at most
            0.5.
        factors: the factors by which a hyperparameter is multiplied.
        resample: the probability that a copied hyperparameter is drawn again instead.
        seeds: the number of populations, or the seed of each.
        batch_size, sampling, stop: as in `gdlab.descend`.
        chunk: the number of populations that the program advances at a time.
        progress: a function that is called with a `Progress` whenever populations finish.

    Returns:
        A Dataset over `seed` and `member` with the outcome of each member, as in a sweep; the steps of a copy include
        the steps of its ancestors. Variables with the additional dim `step` (0, interval, 2 interval, ...): `loss`, on
        all data at that step (NaN if diverged); `parent`, the member that was copied in the exchange at that step (the
        member itself if it was not replaced); and each hyperparameter, by its name, after that exchange. They are NaN,
        or -1 for `parent`, after a population has ended.

    Raises:
        SearchError: an invalid range, several rules, or an invalid `interval`, `quantile`, `factors` or `resample`.
        gdlab.engine.space.SpaceError: a range that neither the rule nor the problem takes, or as `gdlab.sweep`.
        ValueError: as `gdlab.sweep`.

    Source: Jaderberg et al., Population Based Training of Neural Networks, 2017: truncation selection, and `perturb`
    with `resample` for exploration.
    """
    within = _numbers(read(ranges))
    _refuse(size, interval, quantile, factors, resample)
    if isinstance(rule, Mapping):
        raise SearchError("a population takes one rule, not a mapping of rules: train one population per rule")
    over: dict[str | tuple[str, ...], Any] = {**{name: [place.low] for name, place in within.items()}, SEED: seeds}
    settings: dict[str, Any] = {"batch_size": batch_size, "sampling": sampling, "stop": stop, "every": None}
    member = assignment(problem, rule, over, steps=steps, **settings)[0]({})
    change = Change(within, size, int(quantile * size + 1e-9), tuple(map(float, factors)), float(resample))
    evolution = evolving(member, change, interval)
    try:
        data = run(
            space({SEED: seeds}, COUNTS), lambda static: evolution, settings=Settings(chunk=chunk, progress=progress)
        )
    except (TypeError, IndexError) as error:  # raised by JAX for a tracer used as a shape, a condition or an index
        fixed = [name for name in within if not _can_change(member, within, name)]
        if not fixed:
            raise
        raise SearchError(f"{fixed[0]!r} sets a shape or a Python branch, so it can't change during a run") from error
    return _labelled(data, size)


def _labelled(data: "xarray.Dataset", size: int) -> "xarray.Dataset":
    import xarray

    def dims(found: tuple[Any, ...]) -> tuple[Any, ...]:
        lead = tuple(dim for dim in found if dim in (SEED, STEP))
        return (*lead, MEMBER, *found[len(lead) + 1 :])

    named = {name: (dims(values.dims), values.values) for name, values in data.data_vars.items()}
    coords = {**{name: data[name] for name in data.coords}, MEMBER: range(size)}
    return xarray.Dataset(named, coords, data.attrs).transpose(SEED, MEMBER, ...)


def _numbers(ranges: Mapping[str, Any]) -> dict[str, Range]:
    for name, place in ranges.items():
        if name in OWN or not isinstance(place, Range):
            raise SearchError(
                f"{name!r} can't change during a run: give a range (low, high) of a number that the rule takes"
            )
    return dict(ranges)


def _refuse(size: int, interval: int, quantile: float, factors: Sequence[float], resample: float) -> None:
    if interval < 1:
        raise SearchError(f"interval must be at least 1, not {interval}")
    if not 0 < quantile <= 0.5 or int(quantile * size + 1e-9) < 1:
        raise SearchError(
            f"quantile must be above 0, at most 0.5, and at least 1 / size to replace a member; it is {quantile}, and "
            f"size is {size}"
        )
    if not factors or min(factors) <= 0:
        raise SearchError(f"factors must be one or more numbers above 0, not {factors}")
    if not 0 <= resample <= 1:
        raise SearchError(f"resample must be a probability between 0 and 1, not {resample}")


def _can_change(member: Process, ranges: Mapping[str, Range], name: str) -> bool:
    """Whether JAX can trace the training of a member as a function of this hyperparameter."""
    constants = {**{other: place.low for other, place in ranges.items()}, **member.fixed, SEED: 0}

    def train(value: Array) -> Any:
        point = {**constants, name: value}
        run, index = member.start(point), jnp.asarray(0, jnp.int32)
        after, _, _ = member.step(point, run, member.begin(point, index), index)
        return member.finish(point, member.check(point, run, after, index)[0])

    try:
        jax.eval_shape(train, jnp.asarray(ranges[name].low))
    except (TypeError, IndexError):
        return False
    return True
