"""Bars above a panel that show at which learning rates runs diverged."""

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from gdlab.figures.style import GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SOLID, HATCHED = "all diverged", "some diverged"


def evenly_spaced(rates: np.ndarray) -> bool:
    """Whether ascending rates need a linear axis: three or more equally spaced rates, or a rate of at most 0."""
    return bool(rates[0] <= 0) or (len(rates) > 2 and np.allclose(np.diff(rates), rates[1] - rates[0], rtol=1e-3))


def edges(rates: np.ndarray) -> np.ndarray:
    """The edges of the cells around ascending rates: midpoints between neighbours, on a linear or logarithmic axis."""
    if evenly_spaced(rates):
        if len(rates) == 1:
            return rates[0] + np.array([-0.5, 0.5])
        middles = (rates[:-1] + rates[1:]) / 2
        return np.concatenate([[2 * rates[0] - middles[0]], middles, [2 * rates[-1] - middles[-1]]])
    if len(rates) == 1:
        return rates[0] * np.array([10**-0.5, 10**0.5])
    middles = np.sqrt(rates[:-1] * rates[1:])
    return np.concatenate([[rates[0] ** 2 / middles[0]], middles, [rates[-1] ** 2 / middles[-1]]])


def bars(axes: "Axes", ends: np.ndarray, lost: np.ndarray, colours: Sequence[str]) -> "Axes | None":
    """Draw a row of bars for each rule above a panel and return its axes; None if no run diverged.

    Args:
        axes: the panel, whose horizontal axis is shared.
        ends: the edges of the cells, from `edges`.
        lost: the share of the runs that diverged, [rules, rates].
        colours: a colour for each rule.
    """
    from matplotlib.patches import Rectangle

    if not lost.any():
        return None
    rows = len(lost)
    strip = axes.inset_axes((0, 1.015, 1, min(0.035 * rows, 0.3)), sharex=axes)
    strip.set_ylim(rows, 0)
    strip.set_yticks([])
    strip.tick_params(bottom=False, labelbottom=False, which="both")
    strip.grid(False)
    strip.spines[:].set_visible(False)
    strip.set_ylabel("diverged", rotation=0, ha="right", va="center", fontsize=6.5, color=GREY)
    for row, (shares, colour) in enumerate(zip(lost, colours, strict=True)):
        strip.axhspan(row + 0.1, row + 0.9, color="#F1F1F1", lw=0, zorder=0)
        cells = [SOLID if share == 1 else HATCHED if share > 0 else "" for share in shares]
        for kind, places in groupby(range(len(cells)), key=cells.__getitem__):
            if not kind:
                continue
            which = list(places)
            left, right = ends[which[0]], ends[which[-1] + 1]
            face, hatch = (colour, None) if kind == SOLID else ("white", "//////")
            box = Rectangle((left, row + 0.1), right - left, 0.8, facecolor=face, edgecolor=colour, hatch=hatch, lw=0)
            box.set_gid(kind)
            strip.add_patch(box)
    return strip
