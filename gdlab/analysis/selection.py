"""Which hyperparameters were best: the one place where that is decided."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab.errors import SelectionError

if TYPE_CHECKING:
    import xarray

SEED, RULE, STEP = "seed", "rule", "step"


def best(data: "xarray.Dataset", metric: str = "final_loss", over: Sequence[str] | None = None) -> "xarray.Dataset":
    """The point of the dims `over` at which the median over seeds of `metric` is best, for each rule.

    A diverged run counts as the worst there is, in `best_loss` too, so a point at which half of the seeds or more
    diverged is never chosen. Of equal points the first wins. The least is best, but the greatest of a metric whose
    name ends in `accuracy`.

    Args:
        data: the results of a sweep.
        metric: a variable with one value per run.
        over: the dims to choose along; by default all of the metric's but `rule` and `seed`.

    Returns:
        A Dataset over the other dims (`rule`, if there is one): `metric`, its median at the chosen point; `runs` and
        `diverged`, how many runs it stands on and how many of them diverged; `found`, false where no point has a
        finite median. The axes chosen along (`lr`, ...) are coordinates. Where `found` is false the metric and the
        axes are NaN (None for an axis that is not of numbers).

    Raises:
        SelectionError: no such metric or dim, or a metric with steps.
    """
    import xarray

    places = locate(data, metric, over)
    values = score(data, metric)
    axes = {name: coord for name, coord in data.coords.items() if set(coord.dims) & set(places)}

    def there(array: "xarray.DataArray") -> "xarray.DataArray":
        picked = array.isel({dim: place for dim, place in places.items() if dim in array.dims})
        return picked.drop_vars([name for name in picked.coords if name in axes])

    chosen = there(median(values))
    found = abs(chosen) < np.inf
    fates = there(diverged(data, metric))
    result = xarray.Dataset(
        {
            metric: chosen.where(found),
            "runs": xarray.zeros_like(found, int) + values.sizes.get(SEED, 1),
            "diverged": fates.sum(SEED) if SEED in fates.dims else fates.astype(int),
            "found": found,
        }
    )
    for name, coord in axes.items():
        value = there(coord)
        numeric = np.issubdtype(value.dtype, np.number)
        blanked = value.where(found) if numeric else value.astype(object).where(found, None)
        result = result.assign_coords({name: blanked.variable})
    return result


def locate(
    data: "xarray.Dataset", metric: str = "final_loss", over: Sequence[str] | None = None
) -> "dict[str, xarray.DataArray]":
    """The position along each of the dims `over` that `best` chooses, fit for `isel` of any variable of `data`.

    Where no point has a finite median, it is the first. Raises as `best`.
    """
    values = median(score(data, metric))
    dims = [dim for dim in values.dims if dim != RULE] if over is None else list(over)
    unknown = [dim for dim in dims if dim not in values.dims or dim == RULE]
    if unknown:
        raise SelectionError(f"{metric} can't be chosen along {_listed(unknown)}; its dims are {_listed(values.dims)}")
    if not dims:
        return {}
    order = values if sign(metric) > 0 else -values
    places = order.argmin(dims)
    assert isinstance(places, dict)
    return {str(dim): place.drop_vars(list(place.coords)) for dim, place in places.items()}


def matters(data: "xarray.Dataset", metric: str, axis: str) -> "xarray.DataArray":
    """Whether an axis makes any difference to a metric, for each rule: it makes none where a rule does not have it.

    Runs that diverge at different steps differ, though they score alike.
    """
    import xarray

    (dim,) = data[axis].dims
    values = score(data, metric)
    equal = values == values.isel({dim: 0})
    if "diverged_at" in data:
        equal = equal & (data["diverged_at"] == data["diverged_at"].isel({dim: 0}))
    same = equal.all([other for other in equal.dims if other != RULE])
    return ~same if values.sizes[dim] > 1 else xarray.ones_like(same)


def score(data: "xarray.Dataset", metric: str) -> "xarray.DataArray":
    """A metric of each run, in float64, with the worst value (infinite) for a run that diverged or has none.

    A step number that is -1 (`converged_at` of a run that never did) is none.
    """
    values = _metric(data, metric)
    missing = diverged(data, metric) | np.isnan(values)
    if metric == "converged_at":
        missing = missing | (values < 0)
    return values.where(~missing, sign(metric) * np.inf).transpose(*values.dims)


def diverged(data: "xarray.Dataset", metric: str = "final_loss") -> "xarray.DataArray":
    """Whether each run diverged: by `diverged_at`, or, where that is not recorded, by a metric that is not finite."""
    values = _metric(data, metric)
    if "diverged_at" in data:
        return (data["diverged_at"] >= 0).broadcast_like(values).transpose(*values.dims)
    return ~np.isfinite(values)


def median(values: "xarray.DataArray") -> "xarray.DataArray":
    """The median over seeds, if there are seeds; infinities count, so one that half of the runs share is the median."""
    return values.median(SEED, skipna=False) if SEED in values.dims else values


def sign(metric: str) -> int:
    """1 if the least value of a metric is best, -1 if the greatest."""
    return -1 if metric.endswith("accuracy") else 1


def _metric(data: "xarray.Dataset", metric: str) -> Any:
    if metric not in data:
        raise SelectionError(f"there is no {metric!r} in the results; there are {_listed(data.data_vars)}")
    if STEP in data[metric].dims:
        raise SelectionError(f"{metric} is a series: it has a value for each step, not one for each run")
    return data[metric].astype(float)


def _listed(names: Any) -> str:
    return ", ".join(str(name) for name in names) or "none"
