"""Elements of figures of a plane: filled contours, colour bar, limits, and sentences of the caption."""

from typing import TYPE_CHECKING

import numpy as np

from gdlab.analysis.selection import RULE
from gdlab.errors import SelectionError
from gdlab.figures.levels import Levels
from gdlab.figures.run_names import RUN, run_names
from gdlab.figures.style import PALE
from gdlab.figures.wording import number, numbers

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.contour import QuadContourSet
    from matplotlib.figure import Figure

# The share of white that is mixed into a colour map, so that paths are clearly visible on it.
MUTED = 0.55


def surface_of(data: "xarray.Dataset", name: str = "loss") -> "xarray.DataArray":
    """A variable over a plane, with the dims (y, x).

    Raises:
        SelectionError: no such variable over the dims y and x alone.
    """
    if name not in data or set(data[name].dims) != {"x", "y"}:
        raise SelectionError(f"a landscape needs a variable {name!r} over the dims y and x")
    return data[name].transpose("y", "x")


def with_rules(data: "xarray.Dataset") -> "xarray.Dataset":
    """The Dataset with the dim `rule` on its paths.

    A single path gets the dim with size 1. A dim of runs is renamed to `rule`; several runs may have the same rule.
    """
    if "path_x" not in data or RULE in data["path_x"].dims:
        return data
    if RUN in data["path_x"].dims:
        names = data[RULE].values if RULE in data.coords else run_names(data, RUN)
        return data.assign_coords({RULE: (RUN, np.array(names, object))}).swap_dims({RUN: RULE})
    return data.expand_dims({RULE: np.atleast_1d(data[RULE].values) if RULE in data.coords else [""]})


def rule_labels(data: "xarray.Dataset") -> list[str]:
    """The names of the rules with paths on a plane; empty without paths."""
    return list(dict.fromkeys(str(name) for name in data[RULE].values)) if RULE in data.coords else []


def muted(cmap: str, count: int, share: float = MUTED) -> np.ndarray:
    """`count` colours of a map, [count, 3], with a share of white mixed in."""
    import matplotlib

    shades = matplotlib.colormaps[cmap](np.linspace(0, 1, count))[:, :3]
    return shades + share * (1 - shades)


def contours(
    axes: "Axes", surface: "xarray.DataArray", chosen: Levels, cmap: str = "viridis"
) -> "QuadContourSet | None":
    """Draw filled contours with white lines between them on a hatched background; None if no cell is finite."""
    axes.grid(False)
    axes.patch.set(facecolor="white", edgecolor=PALE, hatch="////")
    values = np.ma.masked_invalid(surface.values.astype(float))
    if not values.count():
        return None
    shades = muted(cmap, len(chosen.values) - 1)
    place = (surface["x"].values, surface["y"].values, values, chosen.values)
    filled = axes.contourf(*place, colors=[tuple(shade) for shade in shades])
    axes.contour(*place, colors="white", linewidths=0.35, alpha=0.7)
    return filled


def colour_bar(
    figure: "Figure", axes: "Axes | list[Axes]", filled: "QuadContourSet", chosen: Levels, label: str
) -> None:
    """Add a colour bar for one panel, or for several panels with the same levels."""
    ticks = chosen.values[:: max(1, (len(chosen.values) - 1) // 5)]
    bar = figure.colorbar(filled, ax=axes, ticks=ticks, pad=0.02, aspect=28)
    bar.ax.set_yticklabels(numbers(ticks.tolist()))
    bar.outline.set_visible(False)
    bar.ax.tick_params(which="both", length=0)
    bar.set_label(f"{label}{spacing(chosen, label)}")


def spacing(chosen: Levels, label: str) -> str:
    """The spacing of the levels in words; empty if they are evenly spaced in the loss."""
    if chosen.offset is None:
        return ""
    return f", levels even in log({label} {'−' if chosen.offset >= 0 else '+'} {number(abs(chosen.offset))})"


def place(axes: "Axes", data: "xarray.Dataset", surface: "xarray.DataArray") -> dict[str, str]:
    """Set the limits and the aspect of a panel; return the labels of its axes as `xlabel` and `ylabel`."""
    axes.set_xlim(float(surface["x"].min()), float(surface["x"].max()))
    axes.set_ylim(float(surface["y"].min()), float(surface["y"].max()))
    spans = [float(np.ptp(surface[name].values)) for name in ("x", "y")]
    if data.attrs.get("plane") == "exact" and max(spans) <= 2 * min(spans):
        axes.set_aspect("equal")
    return {f"{name}label": str(data.attrs.get(f"{name}_label", name)) for name in ("x", "y")}


def plane_notes(
    data: "xarray.Dataset", surface: np.ndarray, what: str = "loss", lost_cells: str = "Hatched"
) -> list[str]:
    """Sentences of the caption: the paths, the plane, the distance of the paths from it, and the non-finite points."""
    kind, captured = data.attrs.get("plane"), data.attrs.get("captured")
    sentences = []
    if "paths" in data.attrs and "path_x" in data:
        sentences.append(str(data.attrs["paths"]))
    if "path_x" in data and "path_step" in data.variables:
        apart = np.diff(np.unique(data["path_step"].values[np.isfinite(data["path_step"].values)]))
        if len(apart) and apart.max() > 1:
            sentences.append(f"Straight lines join the recorded steps, up to {apart.max():.0f} apart")
    if kind == "pca":
        share = "" if captured is None else f"; it captures {100 * float(captured):.3g}% of the paths' variance"
        sentences.append(f"Plane: along the two principal directions of the paths{share}")
    elif kind == "random":
        sentences.append("Plane: two random directions")
    if kind != "exact" and "path_off_plane" in data and np.isfinite(data["path_off_plane"]).any():
        sentences.append(f"Paths are projected onto it from a distance of up to {number(data['path_off_plane'].max())}")
    lost = int((~np.isfinite(surface)).sum())
    if lost:
        sentences.append(f"{lost_cells}: {what} not finite, {lost:,} of {surface.size:,} points")
    return sentences
