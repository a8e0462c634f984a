"""Figure of the sensitivity of a metric to the learning rate."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab import register
from gdlab.analysis.selection import SEED, score
from gdlab.errors import SelectionError
from gdlab.figures.drawable import needs_panels, needs_rate
from gdlab.figures.frame import frame, surround
from gdlab.figures.panels import dims_of, panels, rate_axis, rule_names, selected
from gdlab.figures.sensitivity_data import curves_of, scale_of
from gdlab.figures.sensitivity_marks import draw, handles
from gdlab.figures.spread import described
from gdlab.figures.style import Width, rule_styles, style
from gdlab.figures.wording import counts

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


@register.figure("lr_sensitivity", of="sweep", source="Wortsman et al. 2023", needs=needs_rate(needs_panels()))
def lr_sensitivity(
    data: "xarray.Dataset",
    *,
    metric: str = "final_loss",
    select: Mapping[str, Any] | None = None,
    ylim: tuple[float, float] | None = None,
    width: Width = "double",
) -> "Figure":
    """A metric against the learning rate, for each rule: median and band over seeds, best rate, where runs diverged.

    A diverged run counts as the worst possible value, so a line breaks where half of the seeds or more diverged. The
    bars above the panel, a row for each rule, are filled where all seeds diverged and hatched where some did. A star
    marks the rate with the best median (`gdlab.analysis.selection`). The horizontal axis is logarithmic unless the
    rates are evenly spaced. The vertical axis is logarithmic if the metric spans more than a decade and smaller values
    are better; its upper limit is at most ten times the loss at the start, if that was recorded.

    If other hyperparameters also vary along the axis (a chain, zipped axes), points are not joined by a line. Points
    without a rate are left out. Missing runs are left out of medians and bands, and counted in the caption.

    Args:
        data: the results of a sweep with an axis `lr` or `lr.peak`. The optional variable
            `stable_lr`, one value for each rule, is drawn as the theoretical limit of stability; its attribute `label`
            is the name of the limit.
        metric: a variable with one value per run.
        select: `{axis: value}` shows the nearest slice; `{axis: [values]}` a panel for each value. One axis
            other than `rule`, `lr` and `seed` makes panels; further axes need a value here.
        ylim: the limits of the vertical axis.
        width: "single" or "double" column.

    Raises:
        SelectionError: no such metric; no axis `lr`; too many axes; a value of `select` that does not exist.
    """
    styles = rule_styles(rule_names(data))
    data = selected(data, select)
    score(data, metric)  # raises an error if there is no such metric
    rate = rate_axis(data)
    along = dims_of(data, [rate])
    if len(along) != 1:
        raise SelectionError("lr_sensitivity needs an axis 'lr' (or 'lr.peak')")
    shown = [curves_of(panel, metric, along[0], rate) for panel in panels(data, metric, along)]
    vertical = scale_of(data, metric, shown, ylim)
    label = str(data["stable_lr"].attrs.get("label", "stability limit")) if "stable_lr" in data else ""
    with style():
        made = frame(len(shown), width, handles(shown, styles, label))
        for axes, curves in zip(made.panels, shown, strict=True):
            draw(axes, curves, styles, vertical, label)
        medians = np.concatenate([curves.spread.middle.ravel() for curves in shown])
        above = int((medians[np.isfinite(medians)] > vertical.high).sum())
        lost = np.concatenate([curves.lost.ravel() for curves in shown])
        sentences = [
            described(data.sizes.get(SEED, 1)),
            "Bars on top: rates at which runs diverged" if lost.any() else "",
            "Hatched: only some of the seeds did" if ((lost > 0) & (lost < 1)).any() else "",
            f"{above} median{'s' * (above != 1)} above the frame" if above else "",
            counts(data, metric),
        ]
        without = sum(curves.without_rate for curves in shown)
        sentences += [
            "" if all(curves.joined for curves in shown) else "Points differ in other hyperparameters too",
            f"Left out: {without} point{'s' * (without != 1)} without a rate" if without else "",
        ]
        xlabel = "learning rate" if rate == "lr" else f"learning rate ({rate})"
        surround(made, data, width, xlabel=xlabel, ylabel=metric.replace("_", " "), sentences=sentences)
    return made.figure
