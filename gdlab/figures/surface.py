"""The loss on a plane, with the paths of runs on it."""

from typing import TYPE_CHECKING, Literal

import numpy as np

from gdlab import register
from gdlab.best import RULE
from gdlab.errors import SelectionError
from gdlab.figures.frame import frame, surround
from gdlab.figures.levels import Levels, levels
from gdlab.figures.paths import draw_paths, handles
from gdlab.figures.style import PALE, Width, inches, rule_styles, style
from gdlab.figures.wording import number, numbers

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Of viridis towards white, so that paths stand out.
MUTED = 0.55


@register.figure("landscape", of="landscape", source="Li et al. 2018")
def landscape(
    data: "xarray.Dataset",
    *,
    steps: int = 20,
    log: Literal["auto"] | bool = "auto",
    width: Width = "double",
) -> "Figure":
    """The loss on a plane as filled contours, dark where it is low, with the path of each rule's run.

    A circle marks a path's start, the rule's marker its end, a star a known minimum. Cells whose loss is not finite are
    hatched, and their number is said. Off an exact plane a path is drawn where it projects to.

    Args:
        data: `loss` over (y, x) with the coordinates x and y; if there are paths, `path_x` and `path_y` over
            (rule, point), NaN after a run's end, `path_off_plane`, their distance from the plane, and over rule
            `path_diverged`, whether the run did; `min_x` and `min_y`, known minima; the coordinate lr(rule); attributes
            `plane` ("exact", "pca" or "random"), `x_label`, `y_label`, `loss_label`, `paths` (a sentence on which runs
            they are) and, for pca, `captured`, the share of the paths' variance that lies in the plane.
        steps: how many between the least loss and the greatest.
        log: whether levels are evenly spaced in log(loss - min + eps); "auto": if that spans more than two decades.
        width: "single" or "double" column.

    Raises:
        SelectionError: no surface; fewer than one step.
    """
    if "loss" not in data or set(data["loss"].dims) != {"x", "y"}:
        raise SelectionError("a landscape needs a variable 'loss' over the dims y and x")
    surface = data["loss"].transpose("y", "x")
    chosen = levels(surface.values, steps, log)
    if "path_x" in data and RULE not in data["path_x"].dims:
        data = data.expand_dims({RULE: np.atleast_1d(data[RULE].values) if RULE in data.coords else [""]})
    styles = rule_styles([str(name) for name in data[RULE].values] if RULE in data.coords else [])
    with style():
        made = frame(1, width, handles(data, styles), panel=0.46 * inches(width) if width == "double" else 2.2)
        (axes,) = made.panels
        _fill(made.figure, axes, surface, chosen, str(data.attrs.get("loss_label", "loss")))
        draw_paths(axes, data, styles)
        axes.set_xlim(float(surface["x"].min()), float(surface["x"].max()))
        axes.set_ylim(float(surface["y"].min()), float(surface["y"].max()))
        spans = [float(np.ptp(surface[name].values)) for name in ("x", "y")]
        if data.attrs.get("plane") == "exact" and max(spans) <= 2 * min(spans):
            axes.set_aspect("equal")
        labels = {f"{name}label": str(data.attrs.get(f"{name}_label", name)) for name in ("x", "y")}
        surround(made, data, width, **labels, sentences=_sentences(data, surface.values))
    return made.figure


def _fill(figure: "Figure", axes: "Axes", surface: "xarray.DataArray", chosen: Levels, label: str) -> None:
    import matplotlib

    axes.grid(False)
    axes.patch.set(facecolor="white", edgecolor=PALE, hatch="////")
    values = np.ma.masked_invalid(surface.values.astype(float))
    if not values.count():
        return
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 1, len(chosen.values) - 1))[:, :3]
    shades += MUTED * (1 - shades)
    place = (surface["x"].values, surface["y"].values, values, chosen.values)
    filled = axes.contourf(*place, colors=[tuple(shade) for shade in shades])
    axes.contour(*place, colors="white", linewidths=0.35, alpha=0.7)
    ticks = chosen.values[:: max(1, len(shades) // 5)]
    bar = figure.colorbar(filled, ax=axes, ticks=ticks, pad=0.02, aspect=28)
    bar.ax.set_yticklabels(numbers(ticks.tolist()))
    bar.outline.set_visible(False)
    bar.ax.tick_params(which="both", length=0)
    if chosen.offset is not None:
        shift = f"{'−' if chosen.offset >= 0 else '+'} {number(abs(chosen.offset))}"
        label = f"{label}, levels even in log({label} {shift})"
    bar.set_label(label)


def _sentences(data: "xarray.Dataset", surface: np.ndarray) -> list[str]:
    kind, captured = data.attrs.get("plane"), data.attrs.get("captured")
    sentences = []
    if "paths" in data.attrs:
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
        sentences.append(f"Hatched: where the loss is not finite, {lost:,} of {surface.size:,} points")
    return sentences
