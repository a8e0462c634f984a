"""Figure of the norms of the gradients of a network's layers over the steps."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gdlab import register
from gdlab.analysis.selection import RULE, SEED, STEP, best, locate
from gdlab.errors import SelectionError
from gdlab.figures.drawable import needs_no_other_axis
from gdlab.figures.fates import edges
from gdlab.figures.frame import frame, surround
from gdlab.figures.heat import heat, scale_of_colours
from gdlab.figures.panels import MOST, dims_of, rate_axis, rule_names, selected
from gdlab.figures.recorded import recorded
from gdlab.figures.style import Width, style
from gdlab.figures.wording import counts, number, spelled

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


@register.figure(
    "gradient_flow",
    dims=("step",),
    of="sweep",
    source="after Glorot, Bengio 2010, figure 7",
    needs=needs_no_other_axis(lambda options: MOST),
)
def gradient_flow(
    data: "xarray.Dataset",
    *,
    series: str = "layer_grad_norms",
    at: Literal["best"] | Mapping[str, Any] = "best",
    metric: str = "final_loss",
    select: Mapping[str, Any] | None = None,
    width: Width = "double",
) -> "Figure":
    """The gradient norm of each layer as a colour over (step, layer), the first layer at the bottom (a panel per rule).

    Each rule is shown at its best rate, with medians over seeds. Cells where half of the seeds or more have diverged
    are hatched.

    Args:
        data: the results of a sweep in which `series` was recorded, over the axes of the sweep, `step`, and a dim of
            layers. The names of the layers are the coordinate of that dim, or the attribute `layers` of the variable.
        series: the name of the probe.
        at: "best", or `{axis: value}`, which fixes axes at the nearest value, the same for all rules.
        metric: the metric that decides "best" (see `gdlab.analysis.selection.best`).
        select: `{axis: value}` shows the nearest slice, `{axis: [values]}` several.
        width: "single" or "double" column.

    Raises:
        SelectionError: no such series or metric; too many axes; a value of `select` that does not exist.
    """
    if isinstance(at, str) and at != "best":
        raise SelectionError(f"at must be 'best' or a mapping from axes to values, not {at!r}")
    data = selected(data, {**(select or {}), **({} if isinstance(at, str) else at)})
    values = recorded(data, series)
    layers = values.dims[-1]
    axis = rate_axis(data)
    along = [dim for dim in dims_of(data, [axis]) if dim in values.dims]
    others = [str(dim) for dim in values.dims if dim not in (RULE, SEED, STEP, layers, *along)]
    if layers == STEP or layers in (RULE, SEED, *along) or others:
        wrong = f"varies along {spelled(others)} too: select one" if others else "has no dim of layers after the step"
        raise SelectionError(f"gradient_flow needs a series over step and layer, but {series} {wrong}")
    words = [[name] for name in rule_names(data)]
    if along:
        rates = np.atleast_1d(best(data, metric, along)[axis]).astype(float)
        values = values.isel(locate(data, metric, along))
    else:
        rates = np.broadcast_to(data[axis] if axis in data.coords else np.nan, len(words))
    for place, rate in enumerate(rates):
        words[place] += [f"{axis} {number(rate)}"] if np.isfinite(rate) else ["no best rate"] if along else []
    if SEED in values.dims:
        values = values.median(SEED, skipna=False)
    if RULE not in values.dims:
        values = values.expand_dims(RULE)
    shown = values.transpose(RULE, layers, STEP)
    if shown.sizes[RULE] > MOST:
        raise SelectionError(f"{shown.sizes[RULE]} rules are too many for panels (at most {MOST}): select some")
    norm, names = scale_of_colours(shown.values), _names(data[series], str(layers))
    with style():
        made = frame(shown.sizes[RULE], width, [], panel=min(1.1 + 0.09 * len(names), 3.0))
        ends = edges(shown[STEP].values.astype(float)), np.arange(len(names) + 1) - 0.5
        for axes, one, name in zip(made.panels, shown.values, words, strict=True):
            mesh = heat(axes, *ends, one, norm)
            axes.set_title("  ".join(word for word in name if word))
            if len(names) <= (24 if width == "double" else 12):
                axes.set_yticks(range(len(names)), names, fontsize=6.5)
        bar = made.figure.colorbar(mesh, ax=made.panels, pad=0.02, aspect=28)
        bar.outline.set_visible(False)
        bar.set_label("norm of the gradient" if series == "layer_grad_norms" else series.replace("_", " "))
        seeds = data.sizes.get(SEED, 1)
        sentences = [
            f"Medians over {seeds} seeds" if seeds > 1 else "",
            "Hatched: diverged" if np.isinf(shown.values).any() else "",
            f"Chosen from {counts(data, metric)}" if along else counts(data, metric) if metric in data else "",
        ]
        surround(made, data, width, xlabel="step", ylabel="layer", sentences=sentences)
    return made.figure


def _names(series: "xarray.DataArray", dim: str) -> list[str]:
    """The names of the layers, or their numbers from 1."""
    if dim in series.coords:
        return [str(name) for name in series[dim].values]
    named = [str(name) for name in series.attrs.get("layers", ())]
    return named if len(named) == series.sizes[dim] else [str(1 + i) for i in range(series.sizes[dim])]
