"""Population-based training (Jaderberg et al., 2017), inside the compiled program. https://arxiv.org/abs/1711.09846"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from gdlab.analysis.selection import SEED, STEP
from gdlab.engine.evaluate import run
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
    """Train `size` members side by side; every `interval` steps the worst of them go on from copies of the best.

    The members start at hyperparameters drawn from `ranges`, from one initial point, and see the same batches (all of
    which the seed decides). Then, every `interval` steps but not after the last:

    1. exploit: the members are ranked by their loss on all data (for an endless stream: on a batch of it), where a
       diverged member is the worst there is. Each of the floor(quantile size) last becomes a copy, in parameters and in
       the rule's state, of one of as many first, drawn uniformly; of those only that have not diverged.
    2. explore: a copy's hyperparameters are each multiplied by one of `factors`, drawn uniformly, and brought back into
       the range; or, with probability `resample`, drawn from the range anew.

    A whole population is one lane of a compiled program, so that nothing waits for the host, and many seeds are run at
    a time. More members than give way at a time may diverge; they wait for their turn. Once no member runs any more
    the population is left as it is.

    Differs from the paper: there members run at their own pace and may be compared at different times; here all are at
    the same step. And a member that is ranked last is always replaced, though it may not be much worse than the best.

    Args:
        problem, rule: as in `gdlab.sweep`; one rule.
        ranges: `{name: (low, high)}` or `(low, high, "log" or "linear")`, of numbers that a rule or, as `problem.x`, a
            problem takes. They change during a run, so they can't decide a shape, and lists are refused.
        size: how many members.
        steps: of each member.
        interval: steps between two exchanges; without any, where it is not below `steps`.
        quantile: the share that is replaced, and the share that it is replaced from; up to a half.
        factors: what a hyperparameter may be multiplied by.
        resample: how likely a copied hyperparameter is drawn anew instead.
        seeds: how many populations, or the seed of each.
        batch_size, sampling, stop: as in `gdlab.descend`.
        chunk: how many populations go through the program at a time.
        progress: called with a `Progress` as populations get done.

    Returns:
        A Dataset over `seed` and `member`: the outcome of each member as in a sweep, where a copy counts the steps of
        its ancestors as its own; and over `step` too, at 0, interval, 2 interval, ...: `loss`, on all data, on arriving
        there (NaN: had diverged), `parent`, whom the member is a copy of from there on (itself, mostly), and by its
        name each hyperparameter from there on. NaN, and -1, after a population has ended.

    Raises:
        SearchError: a range that is none or that nothing has, several rules, a share or a count that makes no sense.
        gdlab.engine.space.SpaceError, ValueError: as `gdlab.sweep`.

    Source: Jaderberg et al., Population Based Training of Neural Networks, 2017: truncation selection, and `perturb`
    with `resample` for exploration.
    """
    within = _numbers(read(ranges))
    _refuse(size, interval, quantile, factors, resample)
    if isinstance(rule, Mapping):
        raise SearchError("a population has one rule: train one for each of several")
    over: dict[str | tuple[str, ...], Any] = {**{name: [place.low] for name, place in within.items()}, SEED: seeds}
    settings: dict[str, Any] = {"batch_size": batch_size, "sampling": sampling, "stop": stop, "every": None}
    member = assignment(problem, rule, over, steps=steps, **settings)[0]({})
    for name in within:
        if name not in member.names:
            raise SearchError(f"the range {name!r} makes no difference: neither the rule nor the problem has it")
    change = Change(within, size, int(quantile * size + 1e-9), tuple(map(float, factors)), float(resample))
    whole = evolving(member, change, interval)
    try:
        data = run(space({SEED: seeds}, COUNTS), lambda static: whole, chunk=chunk, progress=progress)
    except (TypeError, IndexError) as error:  # JAX, where a tracer stands for a shape, a branch or a slice
        fixed = [name for name in within if not _can_change(member, within, name)]
        if not fixed:
            raise
        raise SearchError(f"{fixed[0]!r} decides a shape or a branch, so it can't change during a run") from error
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
            raise SearchError(f"{name!r} can't change during a run: give a population ranges of numbers that can")
    return dict(ranges)


def _refuse(size: int, interval: int, quantile: float, factors: Sequence[float], resample: float) -> None:
    if interval < 1:
        raise SearchError(f"interval must be at least 1, not {interval}")
    if not 0 < quantile <= 0.5 or int(quantile * size + 1e-9) < 1:
        raise SearchError(
            f"quantile is above 0, up to a half, and with {size} members it must make one at least; it is {quantile}"
        )
    if not factors or min(factors) <= 0:
        raise SearchError(f"factors are one number above 0 or several, not {factors}")
    if not 0 <= resample <= 1:
        raise SearchError(f"resample is a probability, not {resample}")


def _can_change(member: Process, ranges: Mapping[str, Range], name: str) -> bool:
    """Whether a member can be traced with only this hyperparameter not known beforehand."""
    known = {**{other: place.low for other, place in ranges.items()}, **member.fixed, SEED: 0}

    def whole(value: Array) -> Any:
        point = {**known, name: value}
        return member.finish(point, member.advance(point, member.start(point), jnp.asarray(0, jnp.int32), 1)[0])

    try:
        jax.eval_shape(whole, jnp.asarray(ranges[name].low))
    except (TypeError, IndexError):
        return False
    return True
