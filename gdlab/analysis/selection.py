"""Selection of the best hyperparameters of each rule."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gdlab.errors import SelectionError

if TYPE_CHECKING:
    import xarray

SEED, RULE, STEP, BATCH_SIZE = "seed", "rule", "step", "batch_size"

Direction = Literal["min", "max"]


def best(
    data: "xarray.Dataset",
    metric: str = "final_loss",
    over: Sequence[str] | None = None,
    *,
    direction: Direction | None = None,
) -> "xarray.Dataset":
    """The point along the dims `over` with the best median of `metric` over seeds, for each rule.

    A diverged run counts as the worst possible value (also for `best_loss`), so a point where half of the seeds or more
    diverged is never chosen. Missing runs (runs that have not been executed) are left out of the median. Of equal
    points, the first is chosen.

    Args:
        data: the results of a sweep.
        metric: a variable with one value per run.
        over: the dims to choose along; by default all dims of the metric except `rule` and `seed`.
        direction: "min" if a smaller metric is better, "max" if a larger one is; by default see `sign_of`.

    Returns:
        A Dataset over the other dims (`rule`, if there is one): the median at the chosen point, under the name of the
        metric; `runs`, `diverged` and `missing`, the numbers of runs at that point that exist, that diverged and that
        are missing; `found`, False where no point has a finite median. The axes along `over` (`lr`, ...) are
        coordinates and keep their dtype. Where `found` is False, the metric and floating-point axes are NaN, and other
        axes are None.

    Raises:
        SelectionError: no such metric or dim, a metric with the dim `step`, or a direction other than "min" and "max".
    """
    import xarray

    places = locate(data, metric, over, direction=direction)
    axes = {name: coord for name, coord in data.coords.items() if set(coord.dims) & set(places)}

    def chosen(array: "xarray.DataArray") -> "xarray.DataArray":
        picked = array.isel({dim: place for dim, place in places.items() if dim in array.dims})
        return picked.drop_vars([name for name in picked.coords if name in axes])

    def count(flags: "xarray.DataArray") -> "xarray.DataArray":
        picked = chosen(flags)
        return picked.sum(SEED) if SEED in picked.dims else picked.astype(int)

    medians = chosen(median(score(data, metric, direction=direction)))
    found = abs(medians) < np.inf
    absent = missing(data, metric)
    result = xarray.Dataset(
        {
            metric: medians.where(found),
            "runs": count(~absent),
            "diverged": count(diverged(data, metric)),
            "missing": count(absent),
            "found": found,
        }
    )
    for name, coord in axes.items():
        value = chosen(coord)
        if not found.all():
            floating = np.issubdtype(value.dtype, np.floating)
            value = value.where(found) if floating else value.astype(object).where(found, None)
        result = result.assign_coords({name: value.variable})
    return result


def locate(
    data: "xarray.Dataset",
    metric: str = "final_loss",
    over: Sequence[str] | None = None,
    *,
    direction: Direction | None = None,
) -> "dict[str, xarray.DataArray]":
    """The index along each of the dims `over` of the point that `best` chooses, for `isel` of any variable of `data`.

    Where no point has a finite median, the first point with a run is chosen. Arguments and errors are as for `best`.
    """
    values = median(score(data, metric, direction=direction))
    dims = [dim for dim in values.dims if dim != RULE] if over is None else list(over)
    unknown = [dim for dim in dims if dim not in values.dims or dim == RULE]
    if unknown:
        raise SelectionError(
            f"can't choose the best {metric} along {_listed(unknown)}; its dims are {_listed(values.dims)}"
        )
    if not dims:
        return {}
    order = sign_of(data, metric, direction) * values
    # Points without a run (NaN) come after those whose runs diverged (infinity).
    order = order.clip(max=np.finfo(float).max).fillna(np.inf)
    places = order.argmin(dims)
    assert isinstance(places, dict)
    return {str(dim): place.drop_vars(list(place.coords)) for dim, place in places.items()}


def reason_not_found(point: "xarray.Dataset") -> str:
    """Why `found` is False at a point of `best`: "missing", "diverged" or "no value" (no run has the metric)."""
    if not int(point["runs"]):
        return "missing"
    return "diverged" if int(point["diverged"]) else "no value"


def matters(data: "xarray.Dataset", metric: str, axis: str) -> "xarray.DataArray":
    """Whether the results of each rule depend on an axis; they do not if the rule lacks that hyperparameter.

    Runs that diverge at different steps count as different, although their scores are equal.
    """
    import xarray

    (dim,) = data[axis].dims
    equal = _same_along(score(data, metric), dim)
    if "diverged_at" in data:
        equal = equal & _same_along(data["diverged_at"].astype(float), dim)
    same = equal.all([other for other in equal.dims if other != RULE])
    return ~same if data.sizes[dim] > 1 else xarray.ones_like(same)


def _same_along(values: "xarray.DataArray", dim: Any) -> "xarray.DataArray":
    """Whether each value equals the first along a dim; two missing values (NaN) are equal."""
    first = values.isel({dim: 0})
    return (values == first) | (np.isnan(values) & np.isnan(first))


def score(data: "xarray.Dataset", metric: str, *, direction: Direction | None = None) -> "xarray.DataArray":
    """A metric of each run, in float64.

    It is the worst value (infinite) for a run that diverged or has no value of the metric, and NaN for a missing run.
    A run that did not converge has no value of `converged_at` (-1).
    """
    values = _metric(data, metric)
    lacking = diverged(data, metric) | np.isnan(values)
    if metric == "converged_at":
        lacking = lacking | (values < 0)
    worst = sign_of(data, metric, direction) * np.inf
    return values.where(~lacking, worst).where(~missing(data, metric)).transpose(*values.dims)


def diverged(data: "xarray.Dataset", metric: str = "final_loss") -> "xarray.DataArray":
    """Whether each run diverged: from `diverged_at`, or, if the data lack it, whether the metric is not finite."""
    values = _metric(data, metric)
    if "diverged_at" in data:
        return _like(data["diverged_at"] >= 0, values)
    return ~np.isfinite(values) & ~missing(data, metric)


def missing(data: "xarray.Dataset", metric: str = "final_loss") -> "xarray.DataArray":
    """Whether each run is missing: not executed, or absent where Datasets with different axes were combined.

    A missing run has a fill value (-1 or NaN) in `steps_taken`. If the data lack `steps_taken`, a run is missing if it
    has neither a value of `diverged_at` nor of the metric. If the data lack both `steps_taken` and `diverged_at`, no
    run counts as missing.
    """
    values = _metric(data, metric)
    if "steps_taken" in data:
        return _like(~(data["steps_taken"] >= 0), values)
    if "diverged_at" in data:
        return _like(~(data["diverged_at"] >= 0), values) & np.isnan(values)
    return np.isnan(values) & False


def median(values: "xarray.DataArray") -> "xarray.DataArray":
    """The median over existing seeds, if the data have the dim `seed`; NaN where no seed exists.

    Infinite values are included, so the median is infinite where half of the runs or more diverged.
    """
    return values.median(SEED, skipna=True) if SEED in values.dims else values


def sign(metric: str) -> int:
    """1 if a smaller value of a metric is better, -1 if a larger one is: -1 where its name ends in `accuracy`."""
    return -1 if metric.endswith("accuracy") else 1


def sign_of(data: "xarray.Dataset", metric: str, direction: Direction | None = None) -> int:
    """1 if a smaller value of a metric is better, -1 if a larger one is.

    The sources, in order of precedence: the argument `direction`; the attribute `direction` ("min" or "max") of the
    variable; the name of the variable (`sign`).

    Raises:
        SelectionError: no such metric, or a direction other than "min" and "max".
    """
    _metric(data, metric)
    given = direction if direction is not None else data[metric].attrs.get("direction")
    if given is None:
        return sign(metric)
    if given not in ("min", "max"):
        raise SelectionError(f"the direction of {metric} must be 'min' or 'max', not {given!r}")
    return 1 if given == "min" else -1


def rule_per_batch_size(data: "xarray.Dataset", metric: str = "final_loss") -> "xarray.Dataset":
    """The results with one rule for each pair of a rule and a batch size, named "gd  batch 32".

    Different batch sizes are treated as different methods: a table of the best hyperparameters has a row for each. The
    results are unchanged if they have no dim `batch_size` of at least two values.
    """
    if data.sizes.get(BATCH_SIZE, 1) < 2 or BATCH_SIZE not in data[metric].dims:
        return data
    if RULE not in data.dims:
        data = data.expand_dims({RULE: [str(data[RULE].item()) if RULE in data.coords else ""]})
    names = [
        f"{rule}  batch {size}".strip()
        for rule in data[RULE].values.tolist()
        for size in data[BATCH_SIZE].values.tolist()
    ]
    stacked = data.stack({"_row": (RULE, BATCH_SIZE)}, create_index=False).drop_vars([RULE, BATCH_SIZE])
    return stacked.rename({"_row": RULE}).assign_coords({RULE: np.array(names, object)})


def _like(flags: "xarray.DataArray", values: "xarray.DataArray") -> "xarray.DataArray":
    return flags.broadcast_like(values).transpose(*values.dims)


def _metric(data: "xarray.Dataset", metric: str) -> Any:
    if metric not in data:
        raise SelectionError(f"there is no {metric!r} in the results; there are {_listed(data.data_vars)}")
    if STEP in data[metric].dims:
        raise SelectionError(f"{metric} is a series: it has a value for each step, not one for each run")
    return data[metric].astype(float)


def _listed(names: Any) -> str:
    return ", ".join(str(name) for name in names) or "none"
