"""Paths of runs on a plane, known minima, and their legend."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from gdlab.best import RULE
from gdlab.figures.style import RuleStyle
from gdlab.figures.wording import number

if TYPE_CHECKING:
    import xarray
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

START, INK = "#FFFFFF", "#1A1A1A"


def draw_paths(axes: "Axes", data: "xarray.Dataset", styles: Mapping[str, RuleStyle]) -> None:
    """Each rule's path in its colour, cased in white; where it started and ended; known minima as stars."""
    from matplotlib.patheffects import Normal, Stroke

    # The longest first: where paths share a valley, each shows beyond the ends of the shorter ones.
    for name, x, y in sorted(_paths(data), key=lambda path: -np.hypot(np.diff(path[1]), np.diff(path[2])).sum()):
        look = styles[name]
        (line,) = axes.plot(x, y, color=look.colour, ls=look.dash, lw=1.5, zorder=3, solid_joinstyle="round")
        line.set_path_effects([Stroke(linewidth=3, foreground="white", alpha=0.85), Normal()])
        line.set_gid("path")
        axes.plot(x[-1], y[-1], look.marker, color=look.colour, ms=6.5, mec="white", mew=0.9, zorder=6)
        axes.plot(x[0], y[0], "o", color=START, ms=4.5, mec=INK, mew=1, zorder=5)
    if "min_x" in data and "min_y" in data:
        (stars,) = axes.plot(
            data["min_x"].values, data["min_y"].values, "*", color=START, ms=11, mec=INK, mew=0.9, ls="", zorder=4
        )
        stars.set_gid("minimum")


def handles(data: "xarray.Dataset", styles: Mapping[str, RuleStyle]) -> "list[Artist]":
    """An entry for each rule, with the rate of its run and whether it ends outside the frame; for start and minimum."""
    from matplotlib.lines import Line2D

    entries: list[Artist] = []
    ends = {name: (x[-1], y[-1]) for name, x, y in _paths(data)}
    for place, name in enumerate(styles):
        if "path_x" not in data:
            break
        look = styles[name]
        words = [name] if name else []
        if name not in ends:
            words.append("no finite point")
        elif "lr" in data.coords:
            words.append(f"lr {number(np.broadcast_to(data['lr'].values, len(styles))[place])}")
        if "path_diverged" in data and bool(np.atleast_1d(data["path_diverged"].values)[place]):
            words.append("diverged")
        at = dict(zip("xy", ends.get(name, ()), strict=False))
        if not all(data[axis].min() <= value <= data[axis].max() for axis, value in at.items()):
            words.append("(ends outside)")
        entries.append(
            Line2D(
                [], [], color=look.colour, ls=look.dash, marker=look.marker, ms=5.5, mec="white", label="  ".join(words)
            )
        )
    if ends:
        entries.append(Line2D([], [], ls="", marker="o", color=START, ms=4.5, mec=INK, label="start"))
    if "min_x" in data and "min_y" in data:
        entries.append(Line2D([], [], ls="", marker="*", color=START, ms=9, mec=INK, label="minimum"))
    return entries


def _paths(data: "xarray.Dataset") -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Each rule's finite points; a rule without any has no path."""
    if "path_x" not in data:
        return
    for name, x, y in zip(
        data[RULE].values,
        data["path_x"].transpose(RULE, ...).values.astype(float),
        data["path_y"].transpose(RULE, ...).values.astype(float),
        strict=True,
    ):
        there = np.isfinite(x) & np.isfinite(y)
        if there.any():
            yield str(name), x[there], y[there]
