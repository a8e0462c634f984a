"""Figure of many landscapes, a small panel for each."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gdlab import register
from gdlab.figures.landscape_cells import Cell, cells_of, dims_of_grid
from gdlab.figures.levels import Levels, levels
from gdlab.figures.panels import selected
from gdlab.figures.paths import INK, START
from gdlab.figures.plane import colour_bar, contours
from gdlab.figures.run_names import name_of
from gdlab.figures.style import COLOURS, GREY, Width, inches, new_figure, style
from gdlab.figures.wording import caption, number, numbers, title

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches: the margins around the panels.
LEFT, RIGHT, TOP = 0.25, 0.75, 0.45
LOST = COLOURS[1]


@register.figure("landscape_grid", of="landscapes", source="Tufte 1990, on small multiples; Li et al. 2018")
def landscape_grid(
    data: "xarray.Dataset",
    *,
    share: bool = False,
    steps: int = 14,
    log: Literal["auto"] | bool = "auto",
    select: Mapping[str, Any] | None = None,
    width: Width = "double",
) -> "Figure":
    """A small landscape for each run: a row for each rule, a column for each rate; each panel on its own plane.

    The panel of a run that diverged is labelled and has a red frame. Points whose loss is not finite are hatched.
    Unless the panels share their levels, the levels of each panel extend from its least to its greatest loss, and these
    two numbers are written below the panel.

    Args:
        data: `loss` over y, x and one or two other dims (rule, lr, run ...), with shared coordinates x and y. Optional:
            `diverged` or `diverged_at` (-1: did not diverge) over the other dims; `path_x` and `path_y`, the path of
            each run, over the other dims and `point`. If the rules have different rates, the coordinate `lr` is over
            both of the other dims.
        share: whether all panels have the same levels and one colour bar.
        steps: the number of colour steps between the least and the greatest loss.
        log: whether levels are evenly spaced in log(loss - min + eps) instead of the loss; "auto": if loss - min spans
            more than two decades (see `gdlab.figures.levels.levels`).
        select: `{axis: value}` shows the nearest slice, `{axis: [values]}` several.
        width: "single" or "double" column.

    Raises:
        SelectionError: other dims; too many panels; a value of `select` that does not exist.
    """
    data = selected(data, select)
    down, across = dims_of_grid(data)
    cells = list(cells_of(data, down, across))
    rows, columns = (1 + max(getattr(cell, axis) for cell in cells) for axis in ("row", "column"))
    shared = levels(data["loss"].values, steps, log) if share else None
    with style():
        side = (inches(width) - LEFT - (RIGHT if share else 0.1)) / columns
        below = 0 if share else 0.14
        figure = new_figure(width, TOP + (min(side, 1.6) + below) * rows + 0.45)
        grid = figure.add_gridspec(rows, columns, wspace=0.04, hspace=0.04)
        figure.set_layout_engine("constrained", w_pad=0.015, h_pad=0.02)
        panels, filled = [], None
        for cell in cells:
            axes = figure.add_subplot(grid[cell.row, cell.column])
            chosen = shared or levels(cell.data["loss"].values, steps, log)
            made = _draw(axes, cell, chosen, below=not share)
            filled = made or filled
            panels.append(axes)
        _label(data, cells, panels, down, across)
        if shared is not None and filled is not None:
            colour_bar(figure, panels, filled, shared, str(data.attrs.get("loss_label", "loss")))
        title(figure, data)
        caption(figure, _sentences(data, cells, share), width)
    return figure


def _draw(axes: "Axes", cell: Cell, chosen: Levels, below: bool) -> Any:
    surface = cell.data["loss"].transpose("y", "x")
    filled = contours(axes, surface, chosen)
    axes.set_xlim(float(surface["x"].min()), float(surface["x"].max()))
    axes.set_ylim(float(surface["y"].min()), float(surface["y"].max()))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    axes.spines[:].set(color=LOST if cell.diverged else "#B0B0B0", linewidth=1.2 if cell.diverged else 0.5)
    if "path_x" in cell.data:
        x, y = (cell.data[name].values.astype(float).ravel() for name in ("path_x", "path_y"))
        there = np.isfinite(x) & np.isfinite(y)
        axes.plot(x[there], y[there], color=INK, lw=0.9, zorder=3)[0].set_gid("path")
        for at, colour in ((there.argmax(), START), (len(there) - 1 - there[::-1].argmax(), INK)):
            if there.any():
                axes.plot(x[at], y[at], "o", ms=2.6, color=colour, mec=INK, mew=0.6, zorder=4)
    word = "diverged" if cell.diverged else "" if filled else "no finite point"
    if word:
        patch = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.2}
        words = axes.text(0.5, 0.06, word, transform=axes.transAxes, ha="center", va="bottom", fontsize=6.5, color=LOST)
        words.set(bbox=patch, zorder=6)
    if below and filled:
        finite = surface.values[np.isfinite(surface.values)]
        axes.set_xlabel(" to ".join(numbers([finite.min(), finite.max()])), fontsize=5.5, color=GREY, labelpad=1.5)
    return filled


def _label(data: "xarray.Dataset", cells: list[Cell], panels: "list[Axes]", down: str | None, across: str) -> None:
    """Label the rows on the left, and the columns above the first row (above each panel if the names vary by row)."""
    own = [name for name, axis in data.coords.items() if len(axis.dims) == 2 and set(axis.dims) == {down, across}]
    for cell, axes in zip(cells, panels, strict=True):
        if down and cell.column == 0:
            axes.set_ylabel(name_of(data, down, cell.row), fontsize=7.5)
        words = "  ".join(f"{name} {number(cell.data[name].item())}" for name in own)
        if own or not down or cell.row == 0:
            axes.set_title(words or name_of(data, across, cell.place), fontsize=7, pad=2.5, loc="center")


def _sentences(data: "xarray.Dataset", cells: list[Cell], share: bool) -> list[str]:
    lost = int((~np.isfinite(data["loss"].values)).sum())
    ended = sum(cell.diverged for cell in cells)
    return [
        str(data.attrs.get("paths", "")),
        "Each panel has its own plane" if "path_x" not in data else "Each panel has its own plane; white: start",
        "" if share else "Colours run from each panel's least to its greatest loss, written below it",
        f"{len(cells)} runs, {ended or 'none'} diverged",
        f"Hatched: loss not finite, {lost:,} of {data['loss'].size:,} points" if lost else "",
    ]
