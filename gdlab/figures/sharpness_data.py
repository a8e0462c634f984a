"""The arrays of the sharpness figures: medians of a series over seeds, and stability thresholds."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gdlab.analysis.selection import RULE, SEED, STEP
from gdlab.errors import SelectionError
from gdlab.figures.recorded import recorded
from gdlab.figures.wording import spelled

if TYPE_CHECKING:
    import xarray

LR, THRESHOLD = "lr", "threshold"


class Sharpness(NamedTuple):
    """The median of a series over seeds for each rule and rate; a diverged run counts as infinite."""

    names: list[str]
    rates: np.ndarray  # ascending
    steps: np.ndarray
    values: np.ndarray  # [rule, lr, step]
    thresholds: np.ndarray  # [rule, lr], NaN where unknown


def sharpness_of(data: "xarray.Dataset", series: str) -> Sharpness:
    """A series over (rule, lr, seed, step); rule and seed are optional.

    The thresholds are c / lr, where the variable `stability_SERIES` over rule holds the constants c; or the variable
    `threshold` over (rule, lr), whose attribute `of` may be the name of the series.

    Raises:
        SelectionError: no such series, or one without values; no dim lr; other dims.
    """
    values = recorded(data, series)
    others = [str(dim) for dim in values.dims if dim not in (RULE, LR, SEED, STEP)]
    if LR not in values.dims or others:
        wrong = f"varies along {spelled(others)} too: select one" if others else "has no dim lr"
        raise SelectionError(f"a figure of sharpness needs a series over rule, lr and step, but {series} {wrong}")
    values = values.isel({LR: np.argsort(values[LR].values, kind="stable")})
    if SEED in values.dims:
        values = values.median(SEED, skipna=False)
    if RULE not in values.dims:
        values = values.expand_dims(RULE)
    values = values.transpose(RULE, LR, STEP)
    names = [str(name) for name in np.atleast_1d(data[RULE].values)] if RULE in data.coords else [""]
    return Sharpness(
        names,
        values[LR].values.astype(float),
        values[STEP].values,
        values.values,
        _thresholds(data, values, series),
    )


def _thresholds(data: "xarray.Dataset", values: "xarray.DataArray", series: str) -> np.ndarray:
    blank = values.isel({STEP: 0}, drop=True)
    constants = f"stability_{series}"
    found = data[THRESHOLD] if THRESHOLD in data.variables else None
    if found is None and constants in data.variables:
        found = data[constants] / values[LR]
    if found is None or found.attrs.get("of", series) != series:
        return np.full(blank.shape, np.nan)
    found = found.astype(float).broadcast_like(blank).transpose(RULE, LR)
    return found.sel({LR: values[LR]}).values
