"""The arrays that a sensitivity figure shows."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gdlab.analysis.selection import RULE, SEED, best, diverged, missing, reason_not_found, score, sign_of
from gdlab.errors import SelectionError
from gdlab.figures.panels import Panel
from gdlab.figures.scale import Scale, scale
from gdlab.figures.spread import Spread, spread
from gdlab.figures.wording import spelled

if TYPE_CHECKING:
    import xarray


# Texts for the values of `gdlab.analysis.selection.reason_not_found`: why a rule has no best rate.
NO_BEST = {"missing": "no run", "diverged": "every rate diverged", "no value": "no value at any rate"}


class Curves(NamedTuple):
    """The content of a panel: arrays over (rule, lr) or over rule, with the rates in ascending order."""

    title: str
    names: list[str]
    rates: np.ndarray
    spread: Spread
    joined: bool  # whether a line joins the points: only the rate differs between them
    cells: np.ndarray  # the distinct rates
    lost: np.ndarray  # the fraction of the runs that diverged, [rule, cell]
    best_rate: np.ndarray  # NaN: no rate has a finite median
    best_value: np.ndarray
    reasons: list[str]  # why a rule has no best rate, in words; empty where it has one
    limits: np.ndarray  # the theoretical limit of stability; NaN: not known
    without_rate: int  # the number of points without a rate, from other parts of a chain


def curves_of(panel: Panel, metric: str, along: str, rate: str = "lr") -> Curves:
    """The curves of a panel; the learning rates are the axis `rate`, along the dim `along`.

    Raises:
        SelectionError: no point has a rate; `stable_lr` varies along dims other than `rule`.
    """
    rates = panel.data[rate].values.astype(float)
    order = [place for place in np.argsort(rates, kind="stable") if np.isfinite(rates[place])]
    if not order:
        raise SelectionError(f"no run has a value of {rate}")
    data = panel.data.isel({along: order})
    top = best(data, metric, [along])
    limits = np.full(data.sizes[RULE], np.nan)
    if "stable_lr" in data and rate == "lr":
        theory = data["stable_lr"]
        theory = theory.squeeze([dim for dim, size in theory.sizes.items() if size == 1 and dim != RULE])
        extra = [dim for dim in theory.dims if dim != RULE]
        if extra:
            raise SelectionError(f"stable_lr varies along {spelled(extra)}; it can be drawn for each rule only")
        limits = np.broadcast_to(theory.values.astype(float), limits.shape)
    values = score(data, metric).transpose(RULE, along, SEED).values
    rates = rates[order]
    cells, cell_of = np.unique(rates, return_inverse=True)
    others = [axis for name, axis in data.coords.items() if axis.dims == (along,) and name not in (rate, along)]
    points = [top.isel({RULE: i}) for i in range(data.sizes[RULE])]
    return Curves(
        panel.title,
        [str(name) for name in data[RULE].values],
        rates,
        spread(values, axis=2, absent=np.isnan(values)),
        len(cells) == len(rates) and all(len(np.unique(axis.values.astype(str))) == 1 for axis in others),
        cells,
        _share(diverged(data, metric), missing(data, metric), along, cell_of),
        top[rate].values.astype(float),
        top[metric].values,
        ["" if point["found"] else NO_BEST[reason_not_found(point)] for point in points],
        limits,
        len(panel.data[rate]) - len(order),
    )


def _share(lost: "xarray.DataArray", absent: "xarray.DataArray", along: str, cell_of: np.ndarray) -> np.ndarray:
    """The fraction of the existing runs of each cell that diverged, [rule, cell]."""
    sums = []
    for flags in (lost, ~absent):
        counts = flags.transpose(RULE, along, SEED).values.sum(axis=2)
        sums.append(np.stack([np.bincount(cell_of, weights=row) for row in counts]))
    return sums[0] / np.maximum(sums[1], 1)


def scale_of(data: "xarray.Dataset", metric: str, shown: list[Curves], ylim: tuple[float, float] | None) -> Scale:
    """The vertical axis that the panels share."""
    medians = np.concatenate([curves.spread.middle.ravel() for curves in shown])
    bands = np.concatenate([part.ravel() for curves in shown for part in (curves.spread.low, curves.spread.high)])
    ceiling = np.inf
    if metric in ("final_loss", "best_loss") and data.sizes.get("step") and "loss" in data:
        start = data["loss"].isel(step=0).values
        ceiling = 10 * np.max(start, where=np.isfinite(start), initial=-np.inf)
    return scale(medians, bands, ceiling if ceiling > 0 else np.inf, ylim, linear=sign_of(data, metric) < 0)
