"""The width of the range of good learning rates, and the spread over seeds at the best rate."""

from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab.analysis.selection import RULE, SEED, STEP, Direction, median, score, sign_of

if TYPE_CHECKING:
    import xarray


def rate_band(
    data: "xarray.Dataset", metric: str = "final_loss", tolerance: float = 0.1, *, direction: Direction | None = None
) -> "xarray.Dataset":
    """The range of good rates of each rule: rates around the best one whose median over seeds is nearly as good.

    A median m is nearly as good as the best median b if m <= b + tolerance (start - b), where start is the median of
    the first recorded loss. For a metric where larger is better, m and b are negated and start is 0. On each side of
    the best rate, the range ends before the first rate whose median is not nearly as good. For each rate, the other
    axes have their best values. A diverged run counts as the worst possible value; missing runs are left out.

    Returns:
        A Dataset over `rule`, if there is one: the rates `best`, `low` and `high`; `decades`, log10(high / low);
        `spread`, the difference between the worst and the best seed at the best rate, infinite if one diverged. All
        are NaN where no rate has a finite median.

    Raises:
        gdlab.errors.SelectionError: no such metric, or a metric with the dim `step`.
        KeyError: the results have no axis `lr`, or no loss was recorded at the start.
    """
    import xarray

    (along,) = data["lr"].dims
    towards = sign_of(data, metric, direction)
    values = towards * score(data, metric, direction=direction)
    values = values.isel({along: np.flatnonzero(values["lr"].notnull())}).sortby("lr")
    others = [dim for dim in values.dims if dim not in (RULE, SEED, along)]
    rates = values["lr"].values.astype(float)
    start = 0.0 if towards < 0 else float(data["loss"].isel({STEP: 0}).median())
    rows = []
    for index in range(values.sizes.get(RULE, 1)):
        one = values.isel({RULE: index}) if RULE in values.dims else values
        medians = median(one).fillna(np.inf)
        places = medians.argmin(others) if others else {}
        assert isinstance(places, dict)
        rows.append(_band(rates, medians.isel(places).values, one.isel(places), start, tolerance))
    table = np.array(rows, float)
    dims: Any = (RULE,) if RULE in values.dims else ()
    columns = ("best", "low", "high", "decades", "spread")
    found = {name: (dims, table[:, i] if dims else table[0, i]) for i, name in enumerate(columns)}
    return xarray.Dataset(found, {RULE: values[RULE]} if dims else {})


def _band(
    rates: np.ndarray, medians: np.ndarray, runs: "xarray.DataArray", start: float, tolerance: float
) -> tuple[float, float, float, float, float]:
    at = int(np.argmin(medians))
    if not np.isfinite(medians[at]):
        return (np.nan,) * 5
    good = medians <= medians[at] + tolerance * max(start - medians[at], 0.0)
    low, high = at, at
    while low > 0 and good[low - 1]:
        low -= 1
    while high + 1 < len(rates) and good[high + 1]:
        high += 1
    seeds = runs.isel({runs["lr"].dims[0]: at}).values
    return (
        rates[at],
        rates[low],
        rates[high],
        float(np.log10(rates[high] / rates[low])),
        float(np.ptp(seeds[~np.isnan(seeds)])),
    )
