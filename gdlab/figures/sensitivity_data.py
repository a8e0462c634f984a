"""What a sensitivity figure shows, as arrays."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gdlab.analysis.selection import RULE, SEED, best, diverged, score
from gdlab.errors import SelectionError
from gdlab.figures.panels import Panel
from gdlab.figures.scale import Scale, scale
from gdlab.figures.spread import Spread, spread
from gdlab.figures.wording import spelled

if TYPE_CHECKING:
    import xarray


class Curves(NamedTuple):
    """What a panel shows; arrays over (rule, lr) or over rule, the rates rising."""

    title: str
    names: list[str]
    rates: np.ndarray
    spread: Spread
    lost: np.ndarray  # the share of the seeds that diverged
    best_rate: np.ndarray  # NaN: every rate diverged
    best_value: np.ndarray
    limits: np.ndarray  # where theory says that stability ends; NaN: not known


def curves_of(panel: Panel, metric: str, along: str) -> Curves:
    """The curves of a panel whose rates run along a dim."""
    data = panel.data.isel({along: np.argsort(panel.data["lr"].values, kind="stable")})
    top = best(data, metric, [along])
    limits = np.full(data.sizes[RULE], np.nan)
    if "stable_lr" in data:
        theory = data["stable_lr"]
        theory = theory.squeeze([dim for dim, size in theory.sizes.items() if size == 1 and dim != RULE])
        extra = [dim for dim in theory.dims if dim != RULE]
        if extra:
            raise SelectionError(f"stable_lr varies along {spelled(extra)}; it can be drawn for each rule only")
        limits = np.broadcast_to(theory.values.astype(float), limits.shape)
    return Curves(
        panel.title,
        [str(name) for name in data[RULE].values],
        data["lr"].values.astype(float),
        spread(score(data, metric).transpose(RULE, along, SEED).values, axis=2),
        diverged(data, metric).transpose(RULE, along, SEED).values.mean(axis=2),
        top["lr"].values,
        top[metric].values,
        limits,
    )


def scale_of(data: "xarray.Dataset", metric: str, shown: list[Curves], ylim: tuple[float, float] | None) -> Scale:
    """The vertical axis that the panels share."""
    medians = np.concatenate([curves.spread.middle.ravel() for curves in shown])
    bands = np.concatenate([part.ravel() for curves in shown for part in (curves.spread.low, curves.spread.high)])
    ceiling = np.inf
    if metric in ("final_loss", "best_loss") and data.sizes.get("step") and "loss" in data:
        start = data["loss"].isel(step=0).values
        ceiling = 10 * np.max(start, where=np.isfinite(start), initial=-np.inf)
    return scale(medians, bands, ceiling if ceiling > 0 else np.inf, ylim)
