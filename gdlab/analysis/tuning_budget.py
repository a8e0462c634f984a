"""How good the best point is that so much tuning finds, and how well the seeds pin down the point that was chosen."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab.analysis.selection import RULE, SEED, Direction, best, locate, matters, median, score, sign_of
from gdlab.errors import SelectionError

if TYPE_CHECKING:
    import xarray

# Fewer seeds than this make no interval.
LEAST_SEEDS = 3
# Resampled values held in memory at once.
HELD = 2**22


def expected_best(
    data: "xarray.Dataset",
    metric: str = "final_loss",
    k: int | Sequence[int] | None = None,
    *,
    replacement: bool = False,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
    direction: Direction | None = None,
) -> "xarray.Dataset":
    """The best score that trying k of a rule's n points finds, over all the ways to choose the k.

    A point's score is the median over its seeds, infinitely bad where half of them or more diverged. By default the k
    are chosen without replacement, every set of k points as likely as any other: that is what trying k of the n points
    of a sweep is; at k = n it is the best score of the sweep; and of independent random draws it is the unbiased
    estimate of what k further draws would find (Tang et al. 2020). With `replacement` the k draws are independent draws
    from the n points (Dodge et al. 2019), so that some are spent on a point twice, and what is found is worse by that.
    An axis that a rule does not have makes no further points for it.

    The intervals are bootstrap percentiles over points: they say what other points of the same kind might have given,
    not what other seeds might have. As k nears n they rest on the few best points and are too narrow, and never reach
    beyond the best score there is. Points of a grid are no random draws, and those that an adaptive search proposed
    depend on each other: of the former take the intervals as a guide, of the latter not at all.

    Args:
        data: the results of a sweep.
        metric: a variable with one value per run.
        k: how many points are tried; by default 1, 2, 4, ... and the number of points.
        replacement: draw with replacement.
        resamples: of the bootstrap.
        confidence: of the intervals.
        seed: decides the resamples.

    Returns:
        A Dataset over `rule`, if there is one, and `k`: `expected` and `median`, the mean and the median of the best of
        k, each with `_low` and `_high`, its interval; `all_diverged`, the probability that all k points diverged; and
        `points`, n, over `rule` alone. `expected` is infinite where `all_diverged` is above 0, `median` where it is at
        least a half. NaN where k is above n without replacement.

    Raises:
        SelectionError: no such metric, one with steps, a k below 1, or a confidence that is not between 0 and 1.

    Source: Dodge, Gururangan, Card, Schwartz and Smith, Show Your Work, 2019, section 3; Tang et al., Showing Your Work
    Doesn't Always Work, 2020.
    """
    import xarray

    towards = sign_of(data, metric, direction)
    rules = [np.sort(towards * points) for points in _points(data, metric, direction)]
    budgets = _budgets(k, max(1, *(len(points) for points in rules)))
    settings = (budgets, towards, replacement, resamples, confidence, seed)
    rows = [_best_of(points, *settings) for points in rules]
    lead: Any = (RULE,) if RULE in data[metric].dims else ()
    columns: dict[str, Any] = {}
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        columns[name] = ((*lead, "k"), values if lead else values[0])
    columns["points"] = (lead, np.array([len(points) for points in rules])[... if lead else 0])
    return xarray.Dataset(columns, {"k": budgets, **({RULE: data[RULE]} if lead else {})})


def seed_interval(
    data: "xarray.Dataset",
    metric: str = "final_loss",
    of: str | None = None,
    *,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    direction: Direction | None = None,
) -> "xarray.Dataset":
    """The bootstrap percentile interval of the median over seeds, at the point that `best` chooses by `metric`.

    It is the interval of `of`, by default of `metric` itself. It lies within the range of the seeds, so with s seeds it
    covers the true median with probability 1 - 2^(1 - s) at the very most, whatever the confidence asked for: 0.75
    with 3 seeds, 0.94 with 5. It knows nothing of the choice: a point that was chosen because its seeds did well is
    likely to do a little worse with other seeds.

    Args:
        data: the results of a sweep.
        metric: what the point is chosen by.
        of: another metric, whose median at that point is wanted.
        resamples: of the bootstrap.
        confidence: of the interval.
        seed: decides the resamples.

    Returns:
        A Dataset over `rule`, if there is one: `median`, `low`, `high`, the bad end infinite where too many seeds
        diverged; `seeds`, how many there are; `coverage`, the smaller of `confidence` and the most that so many seeds
        allow. Low, high and coverage are NaN with fewer than 3 seeds; all but `seeds` are where no point has a finite
        median.

    Raises:
        SelectionError: no such metric, one with steps, or a confidence that is not between 0 and 1.
    """
    import xarray

    ends = _ends(resamples, confidence)
    found = best(data, metric, direction=direction)["found"]
    own = direction if of is None else None
    values = score(data, of or metric, direction=own).isel(locate(data, metric, direction=direction))
    middle = median(values).where(found)
    runs = (values if SEED in values.dims else values.expand_dims(SEED)).transpose(..., SEED).values
    rows = [
        _interval_of(row[~np.isnan(row)], resamples, ends, confidence, seed) for row in runs.reshape(-1, runs.shape[-1])
    ]
    low, high, coverage, seeds = np.array(rows).T.reshape(4, *middle.shape)
    columns = {
        "median": middle,
        "low": middle.copy(data=low).where(found),
        "high": middle.copy(data=high).where(found),
        "seeds": middle.copy(data=seeds.astype(int)),
        "coverage": middle.copy(data=coverage).where(found),
    }
    return xarray.Dataset({name: column.drop_vars(set(column.coords) - {RULE}) for name, column in columns.items()})


def _interval_of(
    runs: np.ndarray, resamples: int, ends: tuple[int, int], confidence: float, seed: int
) -> tuple[float, float, float, int]:
    """The interval of the median of some runs and its coverage, NaN with too few of them; and the number of runs."""
    count = len(runs)
    if count < LEAST_SEEDS:
        return np.nan, np.nan, np.nan, count
    draws = np.random.default_rng(seed).integers(0, count, (resamples, count))
    medians = np.sort(np.median(runs[draws], axis=-1))
    return medians[ends[0]], medians[ends[1]], min(confidence, 1 - 2.0 ** (1 - count)), count


def _points(data: "xarray.Dataset", metric: str, direction: Direction | None) -> Iterator[np.ndarray]:
    """For each rule the scores of its points, each point once, without those that have no run."""
    scores = median(score(data, metric, direction=direction))
    dims = [dim for dim in scores.dims if dim != RULE]
    own = {dim: np.atleast_1d(matters(data, metric, str(dim)).values) for dim in dims}
    for index in range(scores.sizes.get(RULE, 1)):
        one = scores.isel({RULE: index}) if RULE in scores.dims else scores
        points = one.isel({dim: 0 for dim in dims if not own[dim][index]}).values.ravel()
        yield points[~np.isnan(points)]


def _budgets(k: int | Sequence[int] | None, most: int) -> np.ndarray:
    if k is None:
        return np.unique([*(2 ** np.arange(most.bit_length())), most])
    budgets = np.atleast_1d(np.asarray(k))
    if budgets.dtype.kind not in "iu" or (budgets < 1).any():
        raise SelectionError(f"k counts the points that are tried, so it is a whole number from 1 on, not {k}")
    return budgets


def _best_of(
    points: np.ndarray,
    budgets: np.ndarray,
    direction: int,
    replacement: bool,
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, np.ndarray]:
    """All columns of one rule, from `direction` times its scores in ascending order, the best first."""
    ends = _ends(resamples, confidence)
    n = len(points)
    if not n:
        names = ("expected", "median")
        every = ["all_diverged", *(f"{name}{end}" for name in names for end in ("", "_low", "_high"))]
        return {name: np.full(len(budgets), np.nan) for name in every}
    survival = _survival(n, budgets, replacement)
    impossible = np.zeros(len(budgets), bool) if replacement else budgets > n
    columns = {"all_diverged": survival[int(np.isfinite(points).sum())]}
    for name, statistic in (("expected", _mean), ("median", _median)):
        rng = np.random.default_rng(seed)
        sizes = [min(HELD // n + 1, resamples - at) for at in range(0, resamples, HELD // n + 1)]
        draws = (np.sort(rng.integers(0, n, (size, n))) for size in sizes)
        drawn = np.sort(np.concatenate([statistic(points[draw], survival) for draw in draws]), axis=0)
        low, high = (direction * drawn[ends,])[::direction]
        columns |= {name: direction * statistic(points[None], survival)[0], f"{name}_low": low, f"{name}_high": high}
    return {name: np.where(impossible, np.nan, values) for name, values in columns.items()}


def _survival(n: int, budgets: np.ndarray, replacement: bool) -> np.ndarray:
    """[n + 1, k]: the probability that none of the i best points, i = 0 .. n, is among the k."""
    i = np.arange(1, n + 1)[:, None]
    if replacement:
        rest = ((n - i) / n) ** budgets
    else:
        rest = np.cumprod(np.clip((n - budgets - i + 1) / (n - i + 1), 0, None), axis=0)
    return np.concatenate([np.ones((1, len(budgets))), rest])


def _mean(points: np.ndarray, survival: np.ndarray) -> np.ndarray:
    """The mean of the best of k: points [b, n], ascending, to [b, k]."""
    weights = survival[:-1] - survival[1:]
    lost = np.isposinf(points)
    return np.where(lost @ weights > 0, np.inf, np.where(lost, 0.0, points) @ weights)


def _median(points: np.ndarray, survival: np.ndarray) -> np.ndarray:
    """The median of the best of k, midway where two points share it: points [b, n], ascending, to [b, k]."""
    rounding = 1e-9
    first = (survival[1:] <= 0.5 + rounding).argmax(axis=0)
    last = (survival[1:] < 0.5 - rounding).argmax(axis=0)
    return (points[:, first] + points[:, last]) / 2


def _ends(resamples: int, confidence: float) -> tuple[int, int]:
    """The places of an interval's ends among sorted resamples."""
    if not 0 < confidence < 1:
        raise SelectionError(f"the confidence of an interval is between 0 and 1, not {confidence}")
    if resamples < 1:
        raise SelectionError(f"a bootstrap needs at least one resample, not {resamples}")
    tail = (1 - confidence) / 2
    return int(np.floor(tail * (resamples - 1))), int(np.ceil((1 - tail) * (resamples - 1)))
