"""Figure of the convexity of the loss on a plane."""

from typing import TYPE_CHECKING, Literal

from gdlab import register
from gdlab.figures.frame import frame, surround
from gdlab.figures.levels import levels
from gdlab.figures.paths import draw_paths, handles
from gdlab.figures.plane import colour_bar, contours, place, plane_notes, rule_labels, surface_of, with_rules
from gdlab.figures.style import GREY, Width, inches, rule_styles, style

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


@register.figure("curvature_map", of="curvature", source="Li et al. 2018, figure 7")
def curvature_map(
    data: "xarray.Dataset",
    *,
    steps: int = 20,
    log: Literal["auto"] | bool = False,
    width: Width = "double",
) -> "Figure":
    """|least / greatest eigenvalue of the Hessian| on a plane: pale where the loss is nearly convex, dark where not.

    The eigenvalues are those of the full Hessian, with respect to all parameters, at each point of the plane. Grey
    lines are contour lines of the loss. Points without a finite ratio are hatched and counted in the caption.

    Args:
        data: as for `landscape`, with `curvature_ratio` over (y, x); `loss` may be missing.
        steps: the number of colour steps between the least and the greatest ratio.
        log: whether levels are logarithmic, as for `landscape`, with the ratio in place of the loss.
        width: "single" or "double" column.

    Raises:
        SelectionError: no such variable; `steps` below 1.
    """
    import numpy as np

    ratio = surface_of(data, "curvature_ratio")
    chosen = levels(ratio.values, steps, log)
    data = with_rules(data)
    styles = rule_styles(rule_labels(data))
    label = "|least / greatest Hessian eigenvalue|"
    with style():
        made = frame(1, width, handles(data, styles), panel=0.46 * inches(width) if width == "double" else 2.2)
        (axes,) = made.panels
        filled = contours(axes, ratio, chosen, "YlOrBr")
        if filled is not None:
            colour_bar(made.figure, axes, filled, chosen, label if chosen.offset is None else "ratio")
        sentences = plane_notes(data, ratio.values, "ratio")
        if "loss" in data:
            loss = surface_of(data)
            heights = np.ma.masked_invalid(loss.values.astype(float))
            if heights.count():
                at = (loss["x"].values, loss["y"].values, heights)
                lines = axes.contour(*at, levels(loss.values, 10).values, colors=GREY, linewidths=0.6, alpha=0.8)
                lines.set_gid("loss")
                sentences.append(f"Colour: {label}; grey lines: the loss")
        draw_paths(axes, data, styles)
        surround(made, data, width, **place(axes, data, ratio), sentences=sentences)
    return made.figure
