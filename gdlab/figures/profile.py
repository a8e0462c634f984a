"""Figure of the loss along lines through parameter space."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gdlab import register
from gdlab.errors import SelectionError
from gdlab.figures.fates import bars, edges
from gdlab.figures.frame import frame, surround
from gdlab.figures.panels import selected
from gdlab.figures.run_names import names_of_lines
from gdlab.figures.scale import Scale, scale
from gdlab.figures.spread import ENOUGH, Spread, spread
from gdlab.figures.style import GREY, RuleStyle, Width, rule_styles, style
from gdlab.figures.wording import spelled

if TYPE_CHECKING:
    import xarray
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ALPHA, LINES, ERROR = "alpha", "plane", "_se"


class Profiles(NamedTuple):
    """The content of the figure: for each name a line over alpha, its band, and the fraction of non-finite losses."""

    names: list[str]
    alpha: np.ndarray
    spread: Spread
    lost: np.ndarray
    lines: int  # the number of random lines; 0: the line is the loss itself


@register.figure("line_profile", of="lines", source="Goodfellow, Vinyals, Saxe 2015; Li et al. 2018")
def line_profile(
    data: "xarray.Dataset",
    *,
    metric: str = "loss",
    ylim: tuple[float, float] | None = None,
    select: Mapping[str, Any] | None = None,
    width: Width = "single",
) -> "Figure":
    """The loss along a line, at start + alpha * direction; over many random lines, their median and a band.

    If the data have the dim `plane` of random lines, the band extends from the 10% to the 90% quantile over them (with
    fewer than 10 lines, from the minimum to the maximum), and a non-finite loss counts as infinite. Otherwise, the band
    is the loss plus and minus one standard error, if that is given. Bars above the panel show where losses are not
    finite: filled where this holds for all random lines, hatched where it holds for some. The vertical axis is
    logarithmic if the lines span more than a decade.

    Args:
        data: `metric` over alpha, optionally over `plane` (random lines) and over `rule` or `run` (one line in the
            figure for each). Optional: `metric` + "_se", the standard error of the metric. Attributes: `x_label`,
            `loss_label`, `paths` (a sentence for the caption).
        metric: the name of the variable that is shown.
        ylim: the limits of the vertical axis.
        select: `{axis: value}` shows the nearest slice, `{axis: [values]}` several.
        width: "single" or "double" column.

    Raises:
        SelectionError: no such variable; other dims; too many lines.
    """
    data = selected(data, select)
    shown = _profiles(data, metric)
    styles = rule_styles(shown.names)
    banded = not np.array_equal(shown.spread.low, shown.spread.high, equal_nan=True)
    bands = np.concatenate([shown.spread.low.ravel(), shown.spread.high.ravel()]) if banded else None
    vertical = scale(shown.spread.middle.ravel(), bands, limits=ylim)
    with style():
        made = frame(1, width, _handles(shown, styles))
        (axes,) = made.panels
        _draw(axes, shown, styles, vertical)
        sentences = [str(data.attrs.get("paths", "")), _described(data, metric, shown)]
        if shown.lost.any():
            partly = ((shown.lost > 0) & (shown.lost < 1)).any()
            sentences.append(f"Bars on top: loss not finite{'; hatched: on some lines' if partly else ''}")
        labels = {"xlabel": str(data.attrs.get("x_label", ALPHA)), "ylabel": str(data.attrs.get("loss_label", metric))}
        surround(made, data, width, **labels, sentences=sentences)
    return made.figure


def _profiles(data: "xarray.Dataset", metric: str) -> Profiles:
    if metric not in data or ALPHA not in data[metric].dims:
        known = [str(name) for name, variable in data.data_vars.items() if ALPHA in variable.dims]
        raise SelectionError(f"there is no {metric!r} over alpha; there are {spelled(known) or 'none'}")
    values = data[metric].astype(float)
    names = [str(dim) for dim in values.dims if dim not in (ALPHA, LINES)]
    called = names_of_lines(data, metric, names)
    order = [*names, *([LINES] if LINES in values.dims else []), ALPHA]
    array = values.transpose(*order).values.reshape(len(called), -1, data.sizes[ALPHA])
    lost = ~np.isfinite(array)
    if LINES in values.dims:
        found = spread(np.where(lost, np.inf, array), axis=1)
    else:
        error = np.zeros_like(array[:, 0])
        if metric + ERROR in data:
            error = data[metric + ERROR].astype(float).transpose(*order).values.reshape(error.shape)
        found = Spread(array[:, 0], array[:, 0] - error, array[:, 0] + error)
    lines = array.shape[1] if LINES in values.dims else 0
    return Profiles(called, values[ALPHA].values.astype(float), found, lost.mean(axis=1), lines)


def _handles(shown: Profiles, styles: Mapping[str, RuleStyle]) -> "list[Artist]":
    from matplotlib.lines import Line2D

    looks = [(styles[name], name) for name in shown.names if name]
    return [Line2D([], [], color=k.colour, ls=k.dash, marker=k.marker, ms=2.8, label=name) for k, name in looks]


def _draw(axes: "Axes", shown: Profiles, styles: Mapping[str, RuleStyle], vertical: Scale) -> None:
    vertical.apply(axes)
    alpha = shown.alpha
    axes.set_xlim(alpha.min(), alpha.max())
    axes.locator_params(axis="x", nbins=6)
    if alpha.min() < 0 < alpha.max():
        axes.axvline(0, color=GREY, lw=0.7, zorder=1).set_gid("start")
    stride = max(1, len(alpha) // 8)
    for i, name in enumerate(shown.names):
        look = styles[name]
        middle, low, high = (vertical.place(part[i]) for part in shown.spread)
        if not np.array_equal(low, high, equal_nan=True):
            where = shown.spread.bounded[i]
            axes.fill_between(alpha, low, high, where=where, color=look.colour, alpha=0.2, lw=0, gid="band")
        (line,) = axes.plot(
            alpha,
            np.where(np.isfinite(middle), middle, np.nan),
            color=look.colour,
            ls=look.dash,
            marker=look.marker if name else None,
            ms=2.8,
            markevery=(i * stride // len(shown.names), stride),
            label=name,
        )
        line.set_gid("median")
    strip = bars(axes, edges(alpha), shown.lost, [styles[name].colour for name in shown.names])
    if strip is not None:
        strip.set_ylabel("not finite", rotation=0, ha="right", va="center", fontsize=6.5, color=GREY)
    (strip or axes).set_title(" ", fontsize=2)  # an empty title separates the bars from the title of the figure


def _described(data: "xarray.Dataset", metric: str, shown: Profiles) -> str:
    if shown.lines > 1:
        band = "10–90% quantiles" if shown.lines >= ENOUGH else "least to greatest"
        return f"Line: median over {shown.lines} random lines; band: {band}"
    return "Band: plus and minus one standard error" if metric + ERROR in data and not shown.lines else ""
