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

    A diverged run counts as the worst possible value, in `best_loss` too, so a point where half of the seeds or more
    diverged is never chosen. The median is over the runs that exist: a missing run (one that has not been executed)
    counts neither as good nor as diverged. The first of equal points wins.

    Args:
        data: the results of a sweep.
        metric: a variable with one value per run.
        over: the dims to choose along; by default all dims of the metric except `rule` and `seed`.
        direction: "min" if a smaller metric is better, "max" if a larger one is; by default as `sign_of` says.

    Returns:
        A Dataset over the other dims (`rule`, if there is one): `metric`, its median at the chosen point; `runs`,
        `diverged` and `missing`, the number of runs at that point that exist, that diverged and that are missing;
        `found`, false where no point has a finite median. The axes chosen along (`lr`, ...) are coordinates and keep
        their dtype. Where `found` is false, the metric and floating-point axes are NaN, and other axes are None.

    Raises:
        SelectionError: no such metric or dim, a metric with steps, or another direction.
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

    Where no point has a finite median, it is the first point with a run. Arguments and errors are those of `best`.
    """
    values = median(score(data, metric, direction=direction))
    dims = [dim for dim in values.dims if dim != RULE] if over is None else list(over)
    unknown = [dim for dim in dims if dim not in values.dims or dim == RULE]
    if unknown:
        raise SelectionError(f"{metric} can't be chosen along {_listed(unknown)}; its dims are {_listed(values.dims)}")
    if not dims:
        return {}
    order = sign_of(data, metric, direction) * values
    # Points without a run (NaN) come after those whose runs diverged (infinity).
    order = order.clip(max=np.finfo(float).max).fillna(np.inf)
    places = order.argmin(dims)
    assert isinstance(places, dict)
    return {str(dim): place.drop_vars(list(place.coords)) for dim, place in places.items()}


def reason_not_found(point: "xarray.Dataset") -> str:
    """Why one point of `best` has `found` false: "missing", "diverged" or "no value" (a metric that no run has)."""
    if not int(point["runs"]):
        return "missing"
    return "diverged" if int(point["diverged"]) else "no value"


def matters(data: "xarray.Dataset", metric: str, axis: str) -> "xarray.DataArray":
    """Whether a metric depends on an axis, for each rule; it does not where the rule lacks that hyperparameter.

    Runs that diverge at different steps differ, although their scores are equal.
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
    """A metric of each run, in float64: the worst value (infinite) for a run that diverged or has no value of the
    metric, NaN for a missing run.

    `converged_at` has no value (-1) for a run that did not converge.
    """
    values = _metric(data, metric)
    lacking = diverged(data, metric) | np.isnan(values)
    if metric == "converged_at":
        lacking = lacking | (values < 0)
    worst = sign_of(data, metric, direction) * np.inf
    return values.where(~lacking, worst).where(~missing(data, metric)).transpose(*values.dims)


def diverged(data: "xarray.Dataset", metric: str = "final_loss") -> "xarray.DataArray":
    """Whether each run diverged: by `diverged_at`, or, where that is not recorded, by a metric that is not finite."""
    values = _metric(data, metric)
    if "diverged_at" in data:
        return _like(data["diverged_at"] >= 0, values)
    return ~np.isfinite(values) & ~missing(data, metric)


def missing(data: "xarray.Dataset", metric: str = "final_loss") -> "xarray.DataArray":
    """Whether each run is missing: not executed, or absent where Datasets with different axes were combined.

    Such a run has a fill value (-1 or NaN) in `steps_taken`. Where that is not recorded, it has no value in
    `diverged_at` and the metric. With neither variable no run is known to be missing.
    """
    values = _metric(data, metric)
    if "steps_taken" in data:
        return _like(~(data["steps_taken"] >= 0), values)
    if "diverged_at" in data:
        return _like(~(data["diverged_at"] >= 0), values) & np.isnan(values)
    return np.isnan(values) & False


def median(values: "xarray.DataArray") -> "xarray.DataArray":
    """The median over the seeds that exist, if there are seeds; NaN where none exists.

    Infinities count, so the median is infinite where half of the runs or more diverged.
    """
    return values.median(SEED, skipna=True) if SEED in values.dims else values


def sign(metric: str) -> int:
    """1 if a smaller value of a metric is better, -1 if a larger one is: -1 where its name ends in `accuracy`."""
    return -1 if metric.endswith("accuracy") else 1


def sign_of(data: "xarray.Dataset", metric: str, direction: Direction | None = None) -> int:
    """1 if a smaller value of a metric is better, -1 if a larger one is.

    In order of precedence: `direction`, the attribute `direction` ("min" or "max") of the variable, its name (`sign`).

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

    Results at different batch sizes are measured on the same data, but are results of different methods: a table of the
    best hyperparameters has a row for each. Without a dim `batch_size` of two values or more, the results as they are.
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
