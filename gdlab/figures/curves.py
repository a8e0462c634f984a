"""Figure of a recorded series over the steps."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gdlab import register
from gdlab.analysis.selection import BATCH_SIZE, SEED, STEP
from gdlab.errors import SelectionError
from gdlab.figures.curves_data import Series, series_of
from gdlab.figures.drawable import needs_panels
from gdlab.figures.frame import HANDLE, LETTER, LINE, frame, surround
from gdlab.figures.panels import dims_of, panels, rate_axis, rule_names, selected
from gdlab.figures.scale import Scale, scale
from gdlab.figures.spread import described
from gdlab.figures.style import RuleStyle, Width, inches, rule_styles, style
from gdlab.figures.wording import counts

if TYPE_CHECKING:
    import xarray
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@register.figure("loss_curves", dims=("step",), of="sweep", needs=needs_panels())
def loss_curves(
    data: "xarray.Dataset",
    *,
    series: str = "loss",
    at: Literal["best"] | Mapping[str, Any] = "best",
    metric: str = "final_loss",
    over: Sequence[str] | None = None,
    select: Mapping[str, Any] | None = None,
    ylim: tuple[float, float] | None = None,
    width: Width = "double",
) -> "Figure":
    """A series against the step, for each rule at its best learning rate: median and band over seeds, unsmoothed.

    A run that converged early keeps its last value to the end. A run that diverged counts as infinite from that step
    on, so a line ends where half of the seeds have diverged. The vertical axis is logarithmic if the series spans more
    than a decade and its name does not end in `accuracy`. For runs with batches, the loss is that on the batch of the
    step, and the axis is labelled accordingly.

    Args:
        data: the results of a sweep in which series were recorded.
        series: `loss` or the name of a probe with one number per step.
        at: "best", or `{axis: value}`, which fixes axes at the nearest value, the same for all rules.
        metric: the metric that decides "best" (see `gdlab.analysis.selection.best`).
        over: the axes of the sweep along which the best point of each rule is chosen; by default the learning rate,
            `lr` or `lr.peak`.
        select: `{axis: value}` shows the nearest slice; `{axis: [values]}` a panel for each value. One axis
            other than `rule`, `seed` and the axes `over` makes panels; further axes need a value here.
        ylim: the limits of the vertical axis.
        width: "single" or "double" column.

    Raises:
        SelectionError: no such series or metric; too many axes; a value of `select` that does not exist.
    """
    styles = rule_styles(rule_names(data))
    if series not in data or STEP not in data[series].dims:
        known = [str(name) for name, variable in data.data_vars.items() if STEP in variable.dims]
        raise SelectionError(f"there is no series {series!r} in the results; there are {', '.join(known) or 'none'}")
    if isinstance(at, str) and at != "best":
        raise SelectionError(f"at must be 'best' or a mapping from axes to values, not {at!r}")
    data = selected(data, {**(select or {}), **({} if isinstance(at, str) else at)})
    rate = rate_axis(data)
    along = dims_of(data, [rate] if over is None else over)
    fixed = [rate] if rate in data.coords and data[rate].ndim == 0 else []
    shown = [series_of(panel, series, metric, along, fixed) for panel in panels(data, series, along)]
    middles = np.concatenate([one.spread.middle.ravel() for one in shown])
    bands = np.concatenate([part.ravel() for one in shown for part in (one.spread.low, one.spread.high)])
    vertical = scale(middles, bands, limits=ylim, linear=series.endswith("accuracy"))
    with style():
        legends = [_handles(one, styles) for one in shown]
        above = LINE * (1.5 + max(map(len, legends))) if len(shown) > 1 else 0
        longest = max(len(label) for one in shown for label in one.labels)
        most = min(max(int(inches("double") / (HANDLE + LETTER * longest)), 1), 3)
        legend = legends[0] if len(shown) == 1 else []
        made = frame(len(shown), width, legend, panel=1.9 + above if above else 0, most=most)
        for axes, one, handles in zip(made.panels, shown, legends, strict=True):
            _draw(axes, one, styles, vertical)
            if len(shown) > 1 and handles:  # above the panel, so that the legend covers no line
                axes.set_title("")
                box = axes.legend(handles=handles, title=one.title, fontsize=6.5, loc="lower left", alignment="left")
                box.set_bbox_to_anchor((0, 1), axes.transAxes)
        kept = bool((data["converged_at"] >= 0).any()) if "converged_at" in data else False
        sentences = [
            described(data.sizes.get(SEED, 1)),
            "Converged runs keep their last value" if kept else "",
            f"Chosen from {counts(data, metric)}" if along else counts(data, metric),
        ]
        surround(made, data, width, xlabel="step", ylabel=_label(data, series), sentences=sentences)
    return made.figure


def _label(data: "xarray.Dataset", series: str) -> str:
    """The vertical label; for runs with batches it says that the loss is on the batch of the step, not on all data."""
    axis = np.atleast_1d(data[BATCH_SIZE].values).tolist() if BATCH_SIZE in data.coords else []
    batches = any(str(size) != "all" for size in axis) or data[series].attrs.get(BATCH_SIZE) is not None
    return "loss on the step's batch" if series == "loss" and batches else series.replace("_", " ")


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
