"""What happened during the runs: a series against the step."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gdlab import register
from gdlab.analysis.selection import SEED, STEP
from gdlab.errors import SelectionError
from gdlab.figures.curves_data import Series, series_of
from gdlab.figures.frame import frame, surround
from gdlab.figures.panels import at_most, dims_of, panels, rule_names, selected
from gdlab.figures.scale import Scale, scale
from gdlab.figures.spread import described
from gdlab.figures.style import RuleStyle, Width, rule_styles, style
from gdlab.figures.wording import counts

if TYPE_CHECKING:
    import xarray
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@register.figure(
    "loss_curves", dims=("step",), of="sweep", needs=at_most(1, lambda options: options.get("over", ("lr",)))
)
def loss_curves(
    data: "xarray.Dataset",
    *,
    series: str = "loss",
    at: Literal["best"] | Mapping[str, Any] = "best",
    metric: str = "final_loss",
    over: Sequence[str] = ("lr",),
    select: Mapping[str, Any] | None = None,
    ylim: tuple[float, float] | None = None,
    width: Width = "double",
) -> "Figure":
    """A series against the step, for each rule at its best learning rate: median and band over seeds, unsmoothed.

    A run that converged early keeps its last value to the end; from the step at which a run diverged on it counts as
    infinite, so a line ends where half of the seeds have diverged. The vertical axis is logarithmic if the series spans
    more than a decade.

    Args:
        data: the results of a sweep in which series were recorded.
        series: `loss` or the name of a probe with one number per step.
        at: "best", or `{axis: value}` to fix axes (the nearest value) for all rules alike.
        metric: what "best" goes by (see `gdlab.analysis.selection.best`).
        over: the axes, among those of the sweep, whose best values each rule is shown at.
        select: `{axis: value}` shows the nearest slice; `{axis: [values]}` a panel for each. One axis beside `rule`,
            `seed` and those of `over` makes panels; of others a value has to be chosen.
        ylim: the ends of the vertical axis.
        width: "single" or "double" column.

    Raises:
        SelectionError: no such series or metric; axes left over; a selection that is not there.
    """
    styles = rule_styles(rule_names(data))
    if series not in data or STEP not in data[series].dims:
        known = [str(name) for name, variable in data.data_vars.items() if STEP in variable.dims]
        raise SelectionError(f"there is no series {series!r} in the results; there are {', '.join(known) or 'none'}")
    if isinstance(at, str) and at != "best":
        raise SelectionError(f"at is 'best' or a mapping of axes to values, not {at!r}")
    data = selected(data, {**(select or {}), **({} if isinstance(at, str) else at)})
    along = dims_of(data, over)
    fixed = ["lr"] if "lr" in data.coords and data["lr"].ndim == 0 else []
    shown = [series_of(panel, series, metric, along, fixed) for panel in panels(data, series, along)]
    middles = np.concatenate([one.spread.middle.ravel() for one in shown])
    bands = np.concatenate([part.ravel() for one in shown for part in (one.spread.low, one.spread.high)])
    vertical = scale(middles, bands, limits=ylim)
    with style():
        legends = [_handles(one, styles) for one in shown]
        made = frame(len(shown), width, legends[0] if len(shown) == 1 else [])
        for axes, one, handles in zip(made.panels, shown, legends, strict=True):
            _draw(axes, one, styles, vertical)
            if len(shown) > 1 and handles:
                axes.legend(
                    handles=handles, fontsize=6.5, loc="upper right", frameon=True, framealpha=0.8, edgecolor="w"
                )
        kept = bool((data["converged_at"] >= 0).any()) if "converged_at" in data else False
        sentences = [
            described(data.sizes.get(SEED, 1)),
            "Converged runs keep their last value" if kept else "",
            f"Chosen from {counts(data, metric)}" if along else counts(data, metric),
        ]
        surround(made, data, width, xlabel="step", ylabel=series.replace("_", " "), sentences=sentences)
    return made.figure


def _handles(one: Series, styles: Mapping[str, RuleStyle]) -> "list[Artist]":
    from matplotlib.lines import Line2D

    looks = [(styles[name], label) for name, label in zip(one.names, one.labels, strict=True) if label]
    return [Line2D([], [], color=k.colour, ls=k.dash, marker=k.marker, ms=3.2, label=label) for k, label in looks]


def _draw(axes: "Axes", one: Series, styles: Mapping[str, RuleStyle], vertical: Scale) -> None:
    vertical.apply(axes)
    axes.set_title(one.title)
    stride = max(1, len(one.steps) // 8)
    for i, name in enumerate(one.names):
        look = styles[name]
        middle, low, high = (vertical.place(part[i]) for part in one.spread)
        if not np.array_equal(low, high, equal_nan=True):
            axes.fill_between(one.steps, low, high, where=one.spread.bounded[i], color=look.colour, alpha=0.16, lw=0)
        (line,) = axes.plot(
            one.steps,
            np.where(np.isfinite(middle), middle, np.nan),
            color=look.colour,
            ls=look.dash,
            marker=look.marker,
            ms=3.2,
            markevery=(i * stride // len(one.names), stride),
            label=one.labels[i],
        )
        line.set_gid("median")
