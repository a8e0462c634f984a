"""Figure of the loss on a plane as a surface in three dimensions."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from gdlab import register
from gdlab.errors import SelectionError
from gdlab.figures.frame import BESIDE, HANDLE, LETTER, LINE
from gdlab.figures.paths import INK, START, handles
from gdlab.figures.plane import plane_notes, rule_labels, surface_of, with_rules
from gdlab.figures.relief import Relief, lifted, on_surface, relief
from gdlab.figures.relief_mesh import box, mesh, visible
from gdlab.figures.style import RuleStyle, Width, inches, new_figure, rule_styles, style
from gdlab.figures.wording import caption, numbers, title

if TYPE_CHECKING:
    import xarray
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure
    from mpl_toolkits.mplot3d import Axes3D

# The distance of a path from the surface, as a share of its height.
CLEAR = 0.012
# The opacity of paths and marks that the surface hides.
HIDDEN = 0.45


@register.figure("surface_3d", of="landscape", source="Li et al. 2018")
def surface_3d(
    data: "xarray.Dataset",
    *,
    log: Literal["auto"] | bool = "auto",
    view: tuple[float, float] = (38.0, -60.0),
    width: Width = "double",
) -> "Figure":
    """The loss on a plane as a surface seen from above, with the paths of runs lying on it.

    Parts of paths that the surface hides are dotted and pale; minima that it hides are pale. Cells with a corner whose
    loss is not finite are left out, and the points with such a loss are counted in the caption. A path is drawn on the
    surface: each of its points has the height of the loss at the nearest point of the plane. A path is interrupted
    where it is outside the plotted part of the plane.

    Args:
        data: as for `landscape`; optionally `path_plane_loss` over (rule, point), the loss at the point of the plane
            nearest to each point of a path.
        log: whether heights are linear in log(loss - min + eps) instead of the loss; "auto": if loss - min spans more
            than two decades.
        view: elevation and azimuth of the viewpoint, in degrees.
        width: "single" or "double" column.

    Raises:
        SelectionError: no surface, or fewer than two points along an axis.
    """
    surface = surface_of(data)
    if min(surface.shape) < 2:
        raise SelectionError(
            f"a surface needs at least two points along each axis, but the landscape has {surface.shape}"
        )
    data, heights = with_rules(data), relief(surface.values, log)
    styles = rule_styles(rule_labels(data))
    with style():
        figure, axes = _frame(width, handles(data, styles))
        axes.view_init(*view)
        axes.add_collection3d(mesh(surface, heights))
        axes.set_box_aspect(box(surface), zoom=1.12 if width == "double" else 0.95)
        _paths(axes, data, surface, heights, styles)
        _axes(axes, data, surface, heights, width)
        title(figure, data)
        caption(figure, plane_notes(data, surface.values, lost_cells="Left out"), width)
    return figure


def _frame(width: Width, entries: "Sequence[Artist]") -> "tuple[Figure, Axes3D]":
    """Orthographic 3-D axes, and the legend: beside the axes if there is room, else below."""
    longest = HANDLE + LETTER * max((len(str(entry.get_label())) for entry in entries), default=0)
    beside = width == "double" and longest <= BESIDE
    abreast = max(1, int(inches(width) / longest))
    lines = 0 if beside else LINE * -(-len(entries) // abreast)
    panel = 0.55 * inches("double") if width == "double" else 2.7
    figure = new_figure(width, panel + 0.4 + lines)
    grid = figure.add_gridspec(1 + bool(lines), 1, height_ratios=[panel, lines] if lines else [panel])
    axes: Axes3D = figure.add_subplot(grid[0], projection="3d", computed_zorder=False)
    axes.set_proj_type("ortho")
    if entries and beside:
        figure.legend(handles=list(entries), loc="outside right upper")
    elif entries:
        below = figure.add_subplot(grid[1])
        below.axis("off")
        below.legend(handles=list(entries), loc="upper left", ncols=abreast, borderaxespad=0)
    return figure, axes


def _paths(
    axes: "Axes3D",
    data: "xarray.Dataset",
    surface: "xarray.DataArray",
    heights: Relief,
    styles: Mapping[str, RuleStyle],
) -> None:
    from matplotlib.patheffects import Normal, Stroke

    for (name, _, x, y, _), loss in sorted(lifted(data, surface), key=lambda pair: -pair[0].length):
        look, z = styles[name], heights.height(loss) + CLEAR
        seen = visible(axes, surface, heights, np.stack([x, y, z]))
        (behind,) = axes.plot(x, y, z, color=look.colour, ls=(0, (1, 1.5)), lw=1.0, alpha=HIDDEN, zorder=4)
        behind.set_gid("path")
        (line,) = axes.plot(x, y, np.where(seen, z, np.nan), color=look.colour, lw=1.6, zorder=5)
        line.set_path_effects([Stroke(linewidth=3, foreground="white", alpha=0.85), Normal()])
        line.set_gid("seen")
        there = np.flatnonzero(np.isfinite(z))
        for at, marker, options in (
            (there[:1], "o", {"color": START, "ms": 4.5, "mec": INK, "mew": 1, "zorder": 7}),
            (there[-1:], look.marker, {"color": look.colour, "ms": 6, "mec": "white", "mew": 0.9, "zorder": 8}),
        ):
            axes.plot(x[at], y[at], z[at], marker, alpha=1 if seen[at].all() else HIDDEN, **options)
    if "min_x" in data and "min_y" in data:
        x, y = data["min_x"].values, data["min_y"].values
        z = heights.height(on_surface(surface, x, y)) + CLEAR
        seen = visible(axes, surface, heights, np.stack([x, y, z]))
        for shown, alpha in ((seen, 1.0), (~seen, HIDDEN)):
            options = {"color": START, "ms": 10, "mec": INK, "mew": 0.9, "zorder": 6, "alpha": alpha}
            axes.plot(x[shown], y[shown], z[shown], "*", **options)[0].set_gid("minimum")


def _axes(axes: "Axes3D", data: "xarray.Dataset", surface: "xarray.DataArray", heights: Relief, width: Width) -> None:
    for name, limit in (("x", axes.set_xlim), ("y", axes.set_ylim)):
        limit(float(surface[name].min()), float(surface[name].max()))
    axes.set_zlim(0, 1)
    ticks = np.linspace(0, 1, 5)
    axes.set_zticks(ticks, numbers(heights.loss(ticks).tolist()))
    label = str(data.attrs.get("loss_label", "loss"))
    axes.set_xlabel(str(data.attrs.get("x_label", "x")), labelpad=-4)
    axes.set_ylabel(str(data.attrs.get("y_label", "y")), labelpad=-4)
    label = f"{label}, log heights" if heights.offset is not None else label
    if width == "double":
        axes.set_zlabel(label, labelpad=2)
    else:  # a label beside the ticks would be outside the figure
        axes.text2D(1, 0.9, label, transform=axes.transAxes, ha="right", fontsize=8.5)
    axes.tick_params(pad=-2, labelsize=6.5)
    axes.tick_params(axis="z", pad=2)
    axes.locator_params(axis="x", nbins=5)
    axes.locator_params(axis="y", nbins=5)
    for side in (axes.xaxis, axes.yaxis, axes.zaxis):
        side.pane.set(facecolor="white", edgecolor="#D0D0D0")
