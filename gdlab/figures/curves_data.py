"""The arrays that a figure of curves shows."""

from typing import NamedTuple

import numpy as np

from gdlab.analysis.selection import RULE, SEED, STEP, best, locate, matters, missing, reason_not_found
from gdlab.figures.panels import Panel
from gdlab.figures.spread import Spread, spread
from gdlab.figures.wording import number

# The label of a rule without a best point, by reason: if the best of many points is shown, and if the point is fixed.
_NOT_FOUND = {
    "missing": ("no run", "no run"),
    "diverged": ("every run diverged", "diverged"),
    "no value": ("no value of the metric", "no value of the metric"),
}


class Series(NamedTuple):
    """The content of a panel; `spread` is over (rule, step)."""

    title: str
    names: list[str]
    labels: list[str]  # the rule and its hyperparameters
    steps: np.ndarray
    spread: Spread


def series_of(panel: Panel, series: str, metric: str, along: list[str], fixed: list[str]) -> Series:
    """The series of a panel, for each rule at its best point along the dims `along`.

    The labels also contain the values of the axes `fixed`.
    """
    data = panel.data
    places, top = locate(data, metric, along), best(data, metric, along)
    fates = {name: data[name].isel(places) for name in ("diverged_at", "converged_at") if name in data}
    absent = missing(data, metric).isel(places).transpose(RULE, SEED).values
    values = data[series].isel(places).transpose(RULE, SEED, STEP).values.astype(float)
    steps, seen = data[STEP].values, ~np.isnan(values).all(axis=(0, 1))
    converged = np.zeros_like(absent)
    if "converged_at" in fates:
        converged = fates["converged_at"].transpose(RULE, SEED).values >= 0
    if seen.any():  # a probe with a longer interval has values at some steps only
        if converged.any():  # keep the steps after the last value, to continue converged runs
            seen[np.flatnonzero(seen)[-1] :] = True
        values, steps = values[..., seen], steps[seen]
    values = kept(values, converged[..., None])
    if "diverged_at" in fates:
        ended = fates["diverged_at"].transpose(RULE, SEED).values[..., None]
        values = np.where((ended >= 0) & (steps >= ended), np.inf, values)
    names = [str(name) for name in data[RULE].values]
    axes = [name for name in top.coords if name in data.coords and set(data[name].dims) & set(along)]
    labels = []
    for i, name in enumerate(names):
        one = top.isel({RULE: i})
        own = [axis for axis in axes if np.atleast_1d(matters(data, metric, str(axis)).values)[i]]
        words = [f"{axis} {number((one if axis in one.coords else data)[axis].item())}" for axis in (*own, *fixed)]
        lost = int(one["diverged"])
        if not one["found"]:
            words = [_NOT_FOUND[reason_not_found(one)][0 if along else 1]]
        elif lost:
            words.append(f"({lost} of {int(one['runs'])} diverged)")
        elif converged[i].any() and (converged[i] | absent[i]).all():
            at = np.median(fates["converged_at"].transpose(RULE, SEED).values[i][converged[i]])
            words.append(f"converged at step {at:.0f}")
        labels.append(f"{name}  {', '.join(words)}".replace(", (", " (").strip())
    return Series(panel.title, names, labels, steps, spread(values, axis=1, absent=absent[..., None]))


def kept(values: np.ndarray, converged: np.ndarray) -> np.ndarray:
    """The series with the last value of each converged run repeated to the end."""
    last = np.maximum.accumulate(np.where(np.isnan(values), 0, np.arange(values.shape[-1])), axis=-1)
    return np.where(converged, np.take_along_axis(values, last, axis=-1), values)
