"""How wide the range of good learning rates is, and how much the seeds disagree in it."""

from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab.analysis.selection import RULE, SEED, STEP, Direction, median, score, sign_of

if TYPE_CHECKING:
    import xarray


def rate_band(
    data: "xarray.Dataset", metric: str = "final_loss", tolerance: float = 0.1, *, direction: Direction | None = None
) -> "xarray.Dataset":
    """The good rates of each rule: those around the best one whose median over seeds is nearly as good.

    Nearly: it has given back at most the share `tolerance` of what the best rate has gained over the start, the first
    recorded loss (for an accuracy, over 0). The band ends before the first rate that is worse. Of other axes, each rate
    is given the best values. A diverged run counts as the worst there is.

    Returns:
        A Dataset over `rule`, if there is one: `best`, `low` and `high`, rates; `decades`, log10(high / low); `spread`,
        how far apart the best and the worst seed are at the best rate, infinite where one of them diverged. NaN where
        no rate has a finite median.

    Raises:
        gdlab.errors.SelectionError: no such metric, or one with steps.
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
