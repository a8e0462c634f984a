"""How the outcome depends on the learning rate."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab import register
from gdlab.analysis.selection import SEED, score
from gdlab.errors import SelectionError
from gdlab.figures.frame import frame, surround
from gdlab.figures.panels import at_most, dims_of, panels, rule_names, selected
from gdlab.figures.sensitivity_data import curves_of, scale_of
from gdlab.figures.sensitivity_marks import draw, handles
from gdlab.figures.spread import described
from gdlab.figures.style import Width, rule_styles, style
from gdlab.figures.wording import counts

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


@register.figure(
    "lr_sensitivity", dims=("lr",), of="sweep", source="Wortsman et al. 2023", needs=at_most(1, lambda options: ["lr"])
)
def lr_sensitivity(
    data: "xarray.Dataset",
    *,
    metric: str = "final_loss",
    select: Mapping[str, Any] | None = None,
    ylim: tuple[float, float] | None = None,
    width: Width = "double",
) -> "Figure":
    """A metric against the learning rate, for each rule: median and band over seeds, best rate, where runs diverged.

    A diverged run counts as the worst there is, so a line breaks where half of the seeds or more diverged. The bars on
    top of the frame, a row for each rule, are filled where all seeds diverged and hatched where some did. A star marks
    the rate with the best median (`gdlab.analysis.selection`). The horizontal axis is logarithmic unless the rates are
    evenly spaced; the vertical one if the metric spans more than a decade, and it ends at ten times the loss at the
    start, if that was recorded: lines run out of it.

    Args:
        data: the results of a sweep with an axis `lr`. A variable `stable_lr`, with a value for each rule, is drawn as
            the rate at which theory says that stability ends, by the name in its attribute `label`.
        metric: a variable with one value per run.
        select: `{axis: value}` shows the nearest slice; `{axis: [values]}` a panel for each. One axis beside `rule`,
            `lr` and `seed` makes panels; of others a value has to be chosen.
        ylim: the ends of the vertical axis.
        width: "single" or "double" column.

    Raises:
        SelectionError: no such metric; no axis `lr`; axes left over; a selection that is not there.
    """
    styles = rule_styles(rule_names(data))
    data = selected(data, select)
    score(data, metric)  # fails in words where there is no such metric
    along = dims_of(data, ["lr"])
    if len(along) != 1:
        raise SelectionError("lr_sensitivity needs an axis 'lr'")
    shown = [curves_of(panel, metric, along[0]) for panel in panels(data, metric, along)]
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
        surround(made, data, width, xlabel="learning rate", ylabel=metric.replace("_", " "), sentences=sentences)
    return made.figure
