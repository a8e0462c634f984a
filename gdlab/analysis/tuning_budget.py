"""Expected best score of k points, and bootstrap intervals over seeds."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab.analysis.selection import RULE, SEED, Direction, best, locate, matters, median, score, sign_of
from gdlab.errors import SelectionError

if TYPE_CHECKING:
    import xarray

# The minimum number of seeds for an interval.
LEAST_SEEDS = 3
# The maximum number of resampled values in memory at once.
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
    """The best score among k of the n points of a rule, as a distribution over all choices of the k points.

    The score of a point is the median over its seeds; it is infinitely bad where half of the seeds or more diverged. By
    default the k points are drawn without replacement, and all sets of k points are equally likely; at k = n the result
    is the best score of the sweep. If the n points are independent random draws, the mean is the unbiased estimate for
    k further draws (Tang et al. 2020). With `replacement`, the k points are drawn independently from the n points
    (Dodge et al. 2019); points can then be drawn more than once, and the result is worse. An axis that a rule does not
    have adds no points to that rule. Points without any run are left out.

    The intervals are bootstrap percentiles over points: they describe the variation over other points of the same
    distribution, not over other seeds. For k close to n they depend on the few best points and are too narrow. They are
    never better than the best score of the sweep. For a grid, whose points are not random draws, the intervals are only
    a guide. For an adaptive search, whose points depend on each other, they are not valid.

    Args:
        data: the results of a sweep.
        metric: a variable with one value per run.
        k: the numbers of points; by default 1, 2, 4, ... and the number of points.
        replacement: whether points are drawn with replacement.
        resamples: the number of bootstrap resamples.
        confidence: the confidence level of the intervals.
        seed: the seed of the resampling.
        direction: as in `gdlab.analysis.selection.best`.

    Returns:
        A Dataset over `rule`, if there is one, and `k`: `expected` and `median`, the mean and the median of the best of
        k, each with `_low` and `_high`, its interval; `all_diverged`, the probability that all k points diverged; and
        `points`, n, over `rule` alone. `expected` is infinite where `all_diverged` is above 0, `median` where
        `all_diverged` is at least a half. All but `points` are NaN where k is above n without replacement.

    Raises:
        SelectionError: no such metric, a metric with the dim `step`, a k below 1, or a confidence that is not between 0
            and 1.

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

    The interval is for the median of `of`, by default of `metric`. It lies within the range of the values of the seeds,
    so with s seeds it covers the true median with a probability of at most 1 - 2^(1 - s), for any `confidence`: 0.75
    with 3 seeds, 0.94 with 5. It does not account for the selection: a point chosen because its seeds did well is
    likely to do slightly worse with other seeds.

    Args:
        data: the results of a sweep.
        metric: the metric by which the point is chosen.
        of: the metric whose interval is computed; by default `metric`.
        resamples: the number of bootstrap resamples.
        confidence: the confidence level of the interval.
        seed: the seed of the resampling.
        direction: the direction of `metric`, as in `gdlab.analysis.selection.best`. The metric `of`, if given, always
            has its default direction.

    Returns:
        A Dataset over `rule`, if there is one: `median`, `low`, `high` (the worse end is infinite where too many seeds
        diverged); `seeds`, the number of runs at the point; `coverage`, the smaller of `confidence` and
        1 - 2^(1 - s). `low`, `high` and `coverage` are NaN with fewer than 3 seeds; all but `seeds` are NaN where no
        point has a finite median.

    Raises:
        SelectionError: no such metric, a metric with the dim `step`, or a confidence that is not between 0 and 1.
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
    """The interval of the median of some runs: its ends and coverage (NaN with too few runs), and their number."""
    count = len(runs)
    if count < LEAST_SEEDS:
        return np.nan, np.nan, np.nan, count
    draws = np.random.default_rng(seed).integers(0, count, (resamples, count))
    medians = np.sort(np.median(runs[draws], axis=-1))
    return medians[ends[0]], medians[ends[1]], min(confidence, 1 - 2.0 ** (1 - count)), count


def _points(data: "xarray.Dataset", metric: str, direction: Direction | None) -> Iterator[np.ndarray]:
    """For each rule, the scores of its distinct points; points without a run are left out."""
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
        raise SelectionError(f"k is a number of points, so it must be an integer of at least 1, not {k}")
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
    """All columns of the result for one rule.

    `points` are the scores of the rule times `direction` (1 or -1), in ascending order, so the best is first.
    """
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
    """The probability [n + 1, k] that none of the i best points, i = 0 .. n, is among the k points drawn."""
    i = np.arange(1, n + 1)[:, None]
    if replacement:
        rest = ((n - i) / n) ** budgets
    else:
        rest = np.cumprod(np.clip((n - budgets - i + 1) / (n - i + 1), 0, None), axis=0)
    return np.concatenate([np.ones((1, len(budgets))), rest])


def _mean(points: np.ndarray, survival: np.ndarray) -> np.ndarray:
    """The mean of the best of k points, [b, k], from b rows of n ascending scores, [b, n]."""
    weights = survival[:-1] - survival[1:]
    lost = np.isposinf(points)
    return np.where(lost @ weights > 0, np.inf, np.where(lost, 0.0, points) @ weights)


def _median(points: np.ndarray, survival: np.ndarray) -> np.ndarray:
    """The median of the best of k points, [b, k], from b rows of n ascending scores, [b, n].

    It is the midpoint of two scores where the cumulative probability is exactly a half.
    """
    rounding = 1e-9
    first = (survival[1:] <= 0.5 + rounding).argmax(axis=0)
    last = (survival[1:] < 0.5 - rounding).argmax(axis=0)
    return (points[:, first] + points[:, last]) / 2


def _ends(resamples: int, confidence: float) -> tuple[int, int]:
    """The indices of the ends of an interval among the sorted resamples."""
    if not 0 < confidence < 1:
        raise SelectionError(f"the confidence of an interval must be between 0 and 1, not {confidence}")
    if resamples < 1:
        raise SelectionError(f"a bootstrap needs at least one resample, not {resamples}")
    tail = (1 - confidence) / 2
    return int(np.floor(tail * (resamples - 1))), int(np.ceil((1 - tail) * (resamples - 1)))
