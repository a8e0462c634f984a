"""Figure of the sharpness over rates and steps, with the first step at the edge of stability."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gdlab import register
from gdlab.analysis.selection import SEED
from gdlab.errors import SelectionError
from gdlab.figures.drawable import needs_no_other_axis
from gdlab.figures.fates import edges, evenly_spaced
from gdlab.figures.frame import frame, surround
from gdlab.figures.heat import heat, scale_of_colours
from gdlab.figures.panels import MOST, selected
from gdlab.figures.sharpness_data import Sharpness, sharpness_of
from gdlab.figures.style import Width, style
from gdlab.figures.wording import counts

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@register.figure(
    "sharpness_map",
    dims=("lr", "step"),
    of="sweep",
    source="after Cohen et al. 2021",
    needs=needs_no_other_axis(lambda options: MOST),
)
def sharpness_map(
    data: "xarray.Dataset",
    *,
    of_what: Literal["sharpness", "preconditioned_sharpness"] = "sharpness",
    select: Mapping[str, Any] | None = None,
    width: Width = "double",
) -> "Figure":
    """Sharpness as a colour over (step, lr), a panel for each rule; a line where it first reaches the threshold.

    Cells where half of the seeds or more have diverged are hatched. The line is at the first step with
    sharpness * lr >= c, the stability constant of the rule. A run at the edge of stability crosses the threshold
    repeatedly; later crossings are not drawn.

    Args:
        data, of_what, select, width: as for `sharpness`.

    Raises:
        SelectionError: no such series; too many rules or axes.
    """
    data = selected(data, select)
    found = sharpness_of(data, of_what)
    if len(found.names) > MOST:
        raise SelectionError(f"{len(found.names)} rules are too many for panels (at most {MOST}): select some")
    norm = scale_of_colours(found.values)
    label = of_what.replace("_", " ")
    with style():
        made = frame(len(found.names), width, [])
        for rule, axes in enumerate(made.panels):
            axes.set_title(found.names[rule])
            mesh = _draw(axes, found, rule, norm)
        bar = made.figure.colorbar(mesh, ax=made.panels, pad=0.02, aspect=28)
        bar.outline.set_visible(False)
        bar.set_label(label)
        lines = sum(len(axes.findobj(lambda artist: artist.get_gid() == "edge")) for axes in made.panels)
        seeds = data.sizes.get(SEED, 1)
        sentences = [
            f"White line: the first step at which the {label} reaches the rule's threshold of stability"
            if lines
            else "",
            "Hatched: diverged" if np.isinf(found.values).any() else "",
            f"Medians over {seeds} seeds" if seeds > 1 else "",
            counts(data, "final_loss") if "final_loss" in data else "",
        ]
        surround(made, data, width, xlabel="step", ylabel="learning rate", sentences=sentences)
    return made.figure


def _draw(axes: "Axes", found: Sharpness, rule: int, norm: Any) -> Any:
    from matplotlib.patheffects import Normal, Stroke

    axes.set_yscale("linear" if evenly_spaced(found.rates) else "log")
    across, up = edges(found.steps.astype(float)), edges(found.rates)
    mesh = heat(axes, across, up, found.values[rule], norm)
    first = reached(found.values[rule], found.thresholds[rule])
    if (first >= 0).any():
        at = np.where(first >= 0, across[first], np.nan)
        line = axes.plot(np.repeat(at, 2), np.repeat(up, 2)[1:-1], color="white", lw=1.4, clip_on=False)[0]
        line.set_path_effects([Stroke(linewidth=3, foreground="#1A1A1A"), Normal()])
        line.set_gid("edge")
    return mesh


def reached(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """For each rate, the index [lr] of the first step with values [lr, step] >= thresholds [lr]; -1: no such step.

    Steps after divergence are ignored, because the sharpness is unknown there.
    """
    there = np.isfinite(values) & (values >= thresholds[:, None])
    return np.where(there.any(axis=1), there.argmax(axis=1), -1)
