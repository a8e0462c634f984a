"""Figure of many rules: a panel for each, with the medians of the others in grey."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab import register
from gdlab.analysis.selection import SEED, sign_of
from gdlab.errors import SelectionError
from gdlab.figures.drawable import needs_no_other_axis, needs_rate
from gdlab.figures.fates import edges, evenly_spaced
from gdlab.figures.panels import dims_of, panels, rate_axis
from gdlab.figures.scale import Scale
from gdlab.figures.sensitivity_data import Curves, curves_of, scale_of
from gdlab.figures.spread import described
from gdlab.figures.style import COLOURS, GREY, PALE, Width, inches, new_figure, style
from gdlab.figures.wording import caption, counts, number, title

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOUR, LOST = COLOURS[0], COLOURS[1]
# The minimum width and the height of a panel, in inches.
NARROWEST, HIGH = 1.05, 0.95
# The maximum length of a title at full font size; longer titles have a smaller font.
LETTERS = 21


@register.figure(
    "rule_panels",
    of="sweep",
    source="Tufte, Envisioning Information, 1990, on small multiples",
    needs=needs_rate(needs_no_other_axis()),
)
def rule_panels(
    data: "xarray.Dataset",
    *,
    metric: str = "final_loss",
    order: bool = True,
    ylim: tuple[float, float] | None = None,
    width: Width = "double",
) -> "Figure":
    """A metric against the learning rate, with a panel for each rule.

    Each panel shows the median and band over seeds of its rule, and the medians of the other rules in grey. A star
    marks the best rate. A bar at the top marks the rates at which runs diverged; it is pale where only some of the
    seeds diverged. All panels share their axes. In a chain, points without a learning rate are left out.

    Args:
        data: the results of a sweep with the axes `lr` (or `lr.peak`), `rule` and optionally `seed`, and no other axes.
        metric: a variable with one value per run.
        order: whether panels are sorted by their best median; if False, they are in the order of the results.
        ylim: the limits of the vertical axis.
        width: "single" or "double" column.

    Raises:
        SelectionError: no such metric, no axis `lr` or `lr.peak`, or other axes.
    """
    rate = rate_axis(data)
    along = dims_of(data, [rate])
    if len(along) != 1:
        raise SelectionError("rule_panels needs an axis 'lr' (or 'lr.peak')")
    found = panels(data, metric, along)
    if len(found) > 1:
        raise SelectionError(
            f"rule_panels has a panel for each rule, but {found[0].title.partition(' ')[0]} varies too"
        )
    curves = curves_of(found[0], metric, along[0], rate)
    vertical = scale_of(data, metric, [curves], ylim)
    count = len(curves.names)
    columns = min(count, max(2, int(inches(width) / NARROWEST)))
    rows = math.ceil(count / columns)
    best = np.where(np.isfinite(curves.best_value), sign_of(data, metric) * curves.best_value, np.inf)
    places = np.argsort(best, kind="stable") if order else np.arange(count)
    with style():
        figure = new_figure(width, 0.8 + HIGH * rows)
        grid = figure.add_gridspec(rows, columns)
        axes: list[Axes] = []
        for place, rule in enumerate(places):
            first = axes[0] if axes else None
            axes.append(figure.add_subplot(grid[divmod(place, columns)], sharex=first, sharey=first))
            _draw(axes[-1], curves, int(rule), vertical)
            below = place + columns >= count
            axes[-1].tick_params(labelbottom=below, labelleft=place % columns == 0, labelsize=6)
        sentences = [
            "Grey: the other rules",
            "Star: the best rate, given beside the name",
            "Bars on top: rates at which all seeds diverged; pale: some" if curves.lost.any() else "",
            described(data.sizes.get(SEED, 1)),
            counts(data, metric),
        ]
        title(figure, data)
        caption(figure, sentences, width)
        figure.supylabel(metric.replace("_", " "), fontsize=8)
        axes[min(count - 1, (rows - 1) * columns + columns // 2)].set_xlabel("learning rate", fontsize=8)
    return figure


def _draw(axes: "Axes", curves: Curves, rule: int, vertical: Scale) -> None:
    middle, low, high = (vertical.place(part) for part in curves.spread)
    axes.set_xscale("linear" if evenly_spaced(curves.cells) else "log")
    ends = edges(curves.cells)
    axes.set_xlim(ends[0], ends[-1])
    vertical.apply(axes)
    axes.minorticks_off()
    look: dict[str, Any] = {} if curves.joined else {"ls": "none", "marker": ".", "ms": 3}
    for other in range(len(curves.names)):
        if other != rule:
            axes.plot(curves.rates, np.where(np.isfinite(middle[other]), middle[other], np.nan), **look, c=PALE, lw=0.5)
    bounded = curves.spread.bounded[rule]
    if curves.joined:
        axes.fill_between(curves.rates, low[rule], high[rule], where=bounded, color=COLOUR, alpha=0.25, lw=0, zorder=3)
    else:
        axes.vlines(curves.rates[bounded], low[rule][bounded], high[rule][bounded], color=COLOUR, alpha=0.3, lw=1)
    line = np.where(np.isfinite(middle[rule]), middle[rule], np.nan)
    axes.plot(curves.rates, line, **look, color=COLOUR, lw=1.3, zorder=4)[0].set_gid("median")
    for cell, share in enumerate(curves.lost[rule]):
        if share:
            alpha = 1.0 if share == 1 else 0.35
            axes.axvspan(ends[cell], ends[cell + 1], 0.94, 1, color=LOST, alpha=alpha, lw=0, zorder=2, gid="diverged")
    rate, value = curves.best_rate[rule], curves.best_value[rule]
    words = curves.names[rule]
    if np.isfinite(rate):
        (star,) = axes.plot(rate, vertical.place(value), "*", ms=6.5, c=COLOUR, mec="white", mew=0.6, zorder=5)
        star.set_gid("best")
        words += f"  {number(rate)}"
    else:
        axes.text(
            0.5,
            0.5,
            curves.reasons[rule].replace("rate ", "rate\n"),
            transform=axes.transAxes,
            ha="center",
            va="center",
            color=GREY,
        )
    axes.set_title(words, fontsize=min(6.5, 6.5 * LETTERS / len(words)) if words else 6.5, pad=2, loc="left")
