"""A plane as figures show it: its surface, filled with colours, and the words around it."""

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

# Of a colour map towards white, so that paths stand out.
MUTED = 0.55


def surface_of(data: "xarray.Dataset", name: str = "loss") -> "xarray.DataArray":
    """A variable over a plane, as [y, x].

    Raises:
        SelectionError: no such variable over the dims y and x alone.
    """
    if name not in data or set(data[name].dims) != {"x", "y"}:
        raise SelectionError(f"a landscape needs a variable {name!r} over the dims y and x")
    return data[name].transpose("y", "x")


def with_rules(data: "xarray.Dataset") -> "xarray.Dataset":
    """The same, with the dim `rule` on its paths: also where there is one path, or one without a name; or where they
    are of runs, several of which may be of one rule.
    """
    if "path_x" not in data or RULE in data["path_x"].dims:
        return data
    if RUN in data["path_x"].dims:
        names = data[RULE].values if RULE in data.coords else run_names(data, RUN)
        return data.assign_coords({RULE: (RUN, np.array(names, object))}).swap_dims({RUN: RULE})
    return data.expand_dims({RULE: np.atleast_1d(data[RULE].values) if RULE in data.coords else [""]})


def rule_labels(data: "xarray.Dataset") -> list[str]:
    """The names of the rules whose paths lie on a plane, none if it has none."""
    return list(dict.fromkeys(str(name) for name in data[RULE].values)) if RULE in data.coords else []


def muted(cmap: str, count: int, share: float = MUTED) -> np.ndarray:
    """So many colours of a map, [count, 3], a share of the way to white."""
    import matplotlib

    shades = matplotlib.colormaps[cmap](np.linspace(0, 1, count))[:, :3]
    return shades + share * (1 - shades)


def contours(
    axes: "Axes", surface: "xarray.DataArray", chosen: Levels, cmap: str = "viridis"
) -> "QuadContourSet | None":
    """Filled contours with white lines between them, on paper that is hatched; None if no cell is finite."""
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
    """A bar for the contours of one panel, or of several that share their levels."""
    ticks = chosen.values[:: max(1, (len(chosen.values) - 1) // 5)]
    bar = figure.colorbar(filled, ax=axes, ticks=ticks, pad=0.02, aspect=28)
    bar.ax.set_yticklabels(numbers(ticks.tolist()))
    bar.outline.set_visible(False)
    bar.ax.tick_params(which="both", length=0)
    bar.set_label(f"{label}{spacing(chosen, label)}")


def spacing(chosen: Levels, label: str) -> str:
    """How levels lie, in words, where they are not even in the loss itself."""
    if chosen.offset is None:
        return ""
    return f", levels even in log({label} {'−' if chosen.offset >= 0 else '+'} {number(abs(chosen.offset))})"


def place(axes: "Axes", data: "xarray.Dataset", surface: "xarray.DataArray") -> dict[str, str]:
    """Set the ends and the proportions of a panel; and the labels of its axes, as `xlabel` and `ylabel`."""
    axes.set_xlim(float(surface["x"].min()), float(surface["x"].max()))
    axes.set_ylim(float(surface["y"].min()), float(surface["y"].max()))
    spans = [float(np.ptp(surface[name].values)) for name in ("x", "y")]
    if data.attrs.get("plane") == "exact" and max(spans) <= 2 * min(spans):
        axes.set_aspect("equal")
    return {f"{name}label": str(data.attrs.get(f"{name}_label", name)) for name in ("x", "y")}


def told(data: "xarray.Dataset", surface: np.ndarray, what: str = "loss", lost_cells: str = "Hatched") -> list[str]:
    """The small print: which paths, which plane, how far they are from it, how many points are not finite."""
    kind, captured = data.attrs.get("plane"), data.attrs.get("captured")
    sentences = []
    if "paths" in data.attrs and "path_x" in data:
        sentences.append(str(data.attrs["paths"]))
    if kind == "pca":
        share = "" if captured is None else f"; it captures {100 * float(captured):.3g}% of the paths' variance"
        sentences.append(f"Plane: along the two principal directions of the paths{share}")
    elif kind == "random":
        sentences.append("Plane: two random directions")
    if kind != "exact" and "path_off_plane" in data and np.isfinite(data["path_off_plane"]).any():
        sentences.append(f"Points are projected onto it from up to {number(data['path_off_plane'].max())} away")
    lost = int((~np.isfinite(surface)).sum())
    if lost:
        sentences.append(f"{lost_cells}: where the {what} is not finite, {lost:,} of {surface.size:,} points")
    return sentences
