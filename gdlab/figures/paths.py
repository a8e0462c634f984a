"""Paths of runs on a plane, known minima, and their legend entries."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gdlab.analysis.selection import RULE
from gdlab.figures.style import RuleStyle
from gdlab.figures.wording import number

if TYPE_CHECKING:
    import xarray
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

START, INK = "#FFFFFF", "#1A1A1A"


class Path(NamedTuple):
    """The path of a run, restricted to its finite points.

    The fields are the rule, the index of the run, the coordinates on the plane, and the index of each point among the
    recorded points.
    """

    name: str
    run: int
    x: np.ndarray
    y: np.ndarray
    points: np.ndarray

    @property
    def length(self) -> float:
        """The length of the path on the plane."""
        return float(np.hypot(np.diff(self.x), np.diff(self.y)).sum())


def draw_paths(axes: "Axes", data: "xarray.Dataset", styles: Mapping[str, RuleStyle]) -> None:
    """Draw each path in the colour of its rule with a white outline, its start and end, and known minima as stars."""
    from matplotlib.patheffects import Normal, Stroke

    # The longest path is drawn first, so that shorter paths in the same valley are on top.
    for name, _, x, y, _ in sorted(paths(data), key=lambda path: -path.length):
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
    """Legend entries: each rule with its rate and whether it ends outside the frame; the start; the minimum."""
    from matplotlib.lines import Line2D

    entries: list[Artist] = []
    ends = {path.run: (path.x[-1], path.y[-1]) for path in paths(data)}
    runs = [str(name) for name in data[RULE].values] if "path_x" in data else []
    for name in dict.fromkeys(runs):
        look = styles[name]
        words = _words(data, name, [run for run, its in enumerate(runs) if its == name], ends)
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


def _words(
    data: "xarray.Dataset", name: str, runs: Sequence[int], ends: Mapping[int, tuple[float, float]]
) -> list[str]:
    """The legend text of the runs of a rule: their rates, and how many diverged or end outside the frame."""
    many = len(runs) > 1
    rates = np.broadcast_to(data["lr"].values, data.sizes[RULE])[runs] if "lr" in data.coords else np.array([])
    lost = np.atleast_1d(data["path_diverged"].values)[runs].sum() if "path_diverged" in data else 0
    window = [(float(data[axis].min()), float(data[axis].max())) for axis in ("x", "y")]
    outside = sum(
        not all(low <= at <= high for at, (low, high) in zip(ends[run], window, strict=True))
        for run in runs
        if run in ends
    )
    words = [name] if name else []
    if many:
        words.append(f"{len(runs)} runs")
    if not set(runs) & set(ends):
        words.append("no finite point")
    elif len(rates) and np.isfinite(rates).any():
        span = dict.fromkeys(number(rate) for rate in (np.nanmin(rates), np.nanmax(rates)))
        words.append(f"lr {' to '.join(span)}")
    if lost:
        words.append(f"{lost} diverged" if many else "diverged")
    if outside:
        words.append(f"({outside} end outside)" if many else "(ends outside)")
    return words


def paths(data: "xarray.Dataset") -> Iterator[Path]:
    """The path of each run that has a finite point."""
    if "path_x" not in data:
        return
    for run, (name, x, y) in enumerate(
        zip(
            data[RULE].values,
            data["path_x"].transpose(RULE, ...).values.astype(float),
            data["path_y"].transpose(RULE, ...).values.astype(float),
            strict=True,
        )
    ):
        there = np.isfinite(x) & np.isfinite(y)
        if there.any():
            yield Path(str(name), run, x[there], y[there], np.flatnonzero(there))
