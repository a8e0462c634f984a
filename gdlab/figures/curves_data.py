"""What a figure of curves shows, as arrays."""

from typing import NamedTuple

import numpy as np

from gdlab.analysis.selection import RULE, SEED, STEP, best, locate, matters
from gdlab.figures.panels import Panel
from gdlab.figures.spread import Spread, spread
from gdlab.figures.wording import number


class Series(NamedTuple):
    """What a panel shows; `spread` is over (rule, step)."""

    title: str
    names: list[str]
    labels: list[str]  # the rule and the hyperparameters at which it is shown
    steps: np.ndarray
    spread: Spread


def series_of(panel: Panel, series: str, metric: str, along: list[str], fixed: list[str]) -> Series:
    """The series of a panel, for each rule at its best point along some dims; `fixed` axes are named as well."""
    data = panel.data
    places, top = locate(data, metric, along), best(data, metric, along)
    fates = {name: data[name].isel(places) for name in ("diverged_at", "converged_at") if name in data}
    values = data[series].isel(places).transpose(RULE, SEED, STEP).values.astype(float)
    steps, seen = data[STEP].values, ~np.isnan(values).all(axis=(0, 1))
    if seen.any():  # a probe of an interval of its own has numbers at some steps only
        values, steps = values[..., seen], steps[seen]
    if "converged_at" in fates:
        values = kept(values, fates["converged_at"].transpose(RULE, SEED).values[..., None] >= 0)
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
            words = ["every run diverged" if along else "diverged"]
        elif lost:
            words.append(f"({lost} of {int(one['runs'])} diverged)")
        labels.append(f"{name}  {', '.join(words)}".replace(", (", " (").strip())
    return Series(panel.title, names, labels, steps, spread(values, axis=1))


def kept(values: np.ndarray, converged: np.ndarray) -> np.ndarray:
    """The series of converged runs carried on from their last number."""
    last = np.maximum.accumulate(np.where(np.isnan(values), 0, np.arange(values.shape[-1])), axis=-1)
    return np.where(converged, np.take_along_axis(values, last, axis=-1), values)
