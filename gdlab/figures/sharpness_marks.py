"""The lines, thresholds, crosses and legend of a figure of sharpness."""

from typing import TYPE_CHECKING

import numpy as np

from gdlab.figures.scale import Scale
from gdlab.figures.sharpness_data import Sharpness
from gdlab.figures.style import GREY, MARKERS
from gdlab.figures.wording import numbers

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

DASH = (0, (4, 2))


def _colours(count: int) -> np.ndarray:
    import matplotlib

    # The pale end of the map is not visible on white.
    return matplotlib.colormaps["viridis"](np.linspace(0, 0.82, count))


def draw(axes: "Axes", one: Sharpness, rule: int, places: list[int], vertical: Scale) -> None:
    """Draw a line for each rate shown, its threshold, and a cross where half of the seeds or more have diverged."""
    vertical.apply(axes)
    stride = max(1, len(one.steps) // 6)
    for i, (place, colour) in enumerate(zip(places, _colours(len(places)), strict=True)):
        values = vertical.place(one.values[rule, place])
        finite = np.isfinite(values)
        look = {"color": colour, "marker": MARKERS[i], "ms": 2.8, "markevery": (i * stride // len(places), stride)}
        (line,) = axes.plot(one.steps, np.where(finite, values, np.nan), lw=1.2, zorder=3, **look)
        line.set_gid("median")
        if np.isfinite(one.thresholds[rule, place]):
            axes.axhline(one.thresholds[rule, place], color=colour, ls=DASH, lw=0.9, zorder=2).set_gid("threshold")
        if np.isinf(values).any() and finite.any():
            last = np.flatnonzero(finite)[-1]
            # The cross is at the upper limit of the axis if the last finite value is above it.
            height = min(float(values[last]), vertical.high)
            (cross,) = axes.plot(one.steps[last], height, "x", color=colour, ms=5, mew=1.4, zorder=5, clip_on=False)
            cross.set_gid("diverged")


def handles(curves: Sharpness, places: list[int]) -> "list[Artist]":
    """Legend entries: each rate, and thresholds and crosses if there are any."""
    from matplotlib.lines import Line2D

    words = numbers([curves.rates[place] for place in places])
    entries: list[Artist] = [
        Line2D([], [], color=colour, marker=MARKERS[i], ms=2.8, label=f"lr {word}")
        for i, (word, colour) in enumerate(zip(words, _colours(len(places)), strict=True))
    ]
    if np.isfinite(curves.thresholds[:, places]).any():
        entries.append(Line2D([], [], color=GREY, ls=DASH, lw=0.9, label="stability ends"))
    if np.isinf(curves.values[:, places]).any():
        entries.append(Line2D([], [], color=GREY, marker="x", ms=5, mew=1.4, ls="", label="diverged"))
    return entries
