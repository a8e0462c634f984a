"""Figure of the loss on a plane, with the paths of runs."""

from typing import TYPE_CHECKING, Literal

from gdlab import register
from gdlab.figures.frame import frame, surround
from gdlab.figures.levels import levels
from gdlab.figures.paths import draw_paths, handles
from gdlab.figures.plane import colour_bar, contours, place, plane_notes, rule_labels, surface_of, with_rules
from gdlab.figures.style import Width, inches, rule_styles, style

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


@register.figure("landscape", of="landscape", source="Li et al. 2018")
def landscape(
    data: "xarray.Dataset",
    *,
    steps: int = 20,
    log: Literal["auto"] | bool = "auto",
    width: Width = "double",
) -> "Figure":
    """The loss on a plane as filled contours, dark where it is low, with a path for each rule.

    A circle marks the start of a path, the marker of the rule its end, a star a known minimum. Cells whose loss is not
    finite are hatched and counted in the caption. If the plane does not contain the paths (`plane` is not "exact"),
    they are projected onto it.

    Args:
        data: `loss` over (y, x) with the coordinates x and y. If there are paths: `path_x` and `path_y` over
            (rule, point), NaN after the end of a run; `path_off_plane`, the distance of each point from the plane;
            `path_diverged` over rule, whether the run diverged. Optional: `min_x` and `min_y`, known minima; the
            coordinate `lr` over rule. Attributes: `plane` ("exact", "pca" or "random"), `x_label`, `y_label`,
            `loss_label`, `paths` (a sentence that says which runs are shown) and, for "pca", `captured`, the fraction
            of the variance of the paths that lies in the plane.
        steps: the number of colour steps between the least and the greatest loss.
        log: whether levels are evenly spaced in log(loss - min + eps) instead of the loss; "auto": if loss - min spans
            more than two decades (see `gdlab.figures.levels.levels`).
        width: "single" or "double" column.

    Raises:
        SelectionError: no surface; `steps` below 1.
    """
    surface = surface_of(data)
    chosen = levels(surface.values, steps, log)
    data = with_rules(data)
    styles = rule_styles(rule_labels(data))
    with style():
        made = frame(1, width, handles(data, styles), panel=0.46 * inches(width) if width == "double" else 2.2)
        (axes,) = made.panels
        filled = contours(axes, surface, chosen)
        if filled is not None:
            colour_bar(made.figure, axes, filled, chosen, str(data.attrs.get("loss_label", "loss")))
        draw_paths(axes, data, styles)
        labels = place(axes, data, surface)
        surround(made, data, width, **labels, sentences=plane_notes(data, surface.values))
    return made.figure
