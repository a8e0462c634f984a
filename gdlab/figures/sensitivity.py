"""How the outcome depends on the learning rate."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gdlab import register
from gdlab.best import RULE, SEED, best, diverged, score, sign
from gdlab.figures.fates import bars, edges
from gdlab.figures.panels import Panel, dims_of, layout, panels, rule_names, selected
from gdlab.figures.scale import Scale, scale
from gdlab.figures.spread import Spread, described, spread
from gdlab.figures.style import GREY, RuleStyle, Width, new_figure, rule_styles, style
from gdlab.figures.wording import caption, counts, number, spelled, title

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LR = "lr"


class Curves(NamedTuple):
    """What a panel shows: arrays over (rule, lr), the rates in rising order."""

    title: str
    rates: np.ndarray
    spread: Spread
    lost: np.ndarray  # the share of the seeds that diverged
    best: "xarray.Dataset"
    limits: np.ndarray | None  # the theory's stability limit for each rule


@register.figure("lr_sensitivity", dims=(LR,), of="sweep")
def lr_sensitivity(
    data: "xarray.Dataset",
    *,
    metric: str = "final_loss",
    select: Mapping[str, Any] | None = None,
    ylim: tuple[float, float] | None = None,
    width: Width = "double",
) -> "Figure":
    """A metric against the learning rate, for each rule: median and band over seeds, best rate, where runs diverged.

    A diverged run counts as the worst there is, so a line breaks where half of the seeds or more diverged. The bars on top
    of the frame, one row for each rule, are filled where all seeds diverged and hatched where some did. A star marks the
    rate with the best median (see `gdlab.best.best`). The vertical axis is logarithmic if the metric spans more than a
    decade; it ends at ten times the loss at the start, if that was recorded, and lines run out of it.

    Args:
        data: the results of a sweep with an axis `lr`. A variable `stable_lr`, for each rule, is drawn as the rate at which
            theory says that stability ends, by the name in its attribute `label`.
        metric: a variable with one value per run.
        select: `{axis: value}` shows the nearest slice; `{axis: [values]}` a panel for each. One axis beside `rule`, `lr`
            and `seed` makes panels; of others a value has to be chosen.
        ylim: the ends of the vertical axis.
        width: "single" or "double" column.

    Raises:
        ValueError: no such metric; no axis `lr`; axes left over; a selection that is not there.
    """
    styles = rule_styles(rule_names(data))
    data = selected(data, select)
    score(data, metric)  # fails, in words, where there is no such metric
    along = dims_of(data, [LR])
    if len(along) != 1 or data[LR].ndim != 1:
        raise ValueError("there is no axis 'lr' to draw against")
    shown = [_curves(panel, metric, along[0]) for panel in panels(data, metric, along)]
    medians = np.concatenate([curves.spread.middle.ravel() for curves in shown])
    ceiling = _ceiling(data, metric)
    extents = [np.concatenate([c.spread.low.ravel(), c.spread.high.ravel()]) for c in shown]
    high = np.max(medians, where=np.isfinite(medians), initial=-np.inf)
    within = [extent[extent <= high] for extent in extents]
    vertical = scale(np.concatenate([medians, *within]), ceiling, ylim)

    with style():
        rows, columns = layout(len(shown), 3 if width == "double" else 1)
        figure = new_figure(width, 0.75 + 2.45 * rows)
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes, curves in zip(grid.flat, shown, strict=False):
            _draw(axes, curves, styles, vertical)
        for axes in grid.flat[len(shown) :]:
            axes.remove()
        figure.supylabel(metric.replace("_", " "), fontsize=8.5)
        for axes in grid.flat[max(0, len(shown) - columns) : len(shown)]:
            axes.set_xlabel("learning rate")
            axes.tick_params(labelbottom=True)
        _legend(figure, shown, styles, width)
        title(figure, data)
        seeds = data.sizes.get(SEED, 1)
        above = sum(int((np.isfinite(c.spread.middle) & (c.spread.middle > vertical.high)).sum()) for c in shown)
        lost = any(curves.lost.any() for curves in shown)
        caption(
            figure,
            [
                described(seeds),
                "Bars on top: rates at which runs diverged, hatched where only some seeds did" if lost else "",
                f"{above} median{'s' * (above != 1)} above the frame" if above else "",
                counts(data, metric),
            ],
            width,
        )
    return figure


def _curves(panel: Panel, metric: str, along: str) -> Curves:
    data = panel.data.isel({along: np.argsort(panel.data[LR].values, kind="stable")})
    values = score(data, metric).transpose(RULE, along, SEED).values
    limits = None
    if "stable_lr" in data:
        extra = [dim for dim in data["stable_lr"].dims if dim != RULE]
        if extra:
            raise ValueError(f"stable_lr varies along {spelled(extra)}: a line can be drawn for each rule only")
        limits = np.broadcast_to(data["stable_lr"].values, data.sizes[RULE])
    return Curves(
        panel.title,
        data[LR].values.astype(float),
        spread(values, axis=2),
        diverged(data, metric).transpose(RULE, along, SEED).values.mean(axis=2),
        best(data, metric, [along]),
        limits,
    )


def _ceiling(data: "xarray.Dataset", metric: str) -> float:
    """Ten times the greatest median over seeds of the loss at the start; infinite for what is no training loss."""
    if metric not in ("final_loss", "best_loss") or "loss" not in data or data.sizes.get("step", 0) == 0:
        return np.inf
    start = data["loss"].isel(step=0)
    return 10 * float(np.nanmax(start.where(np.isfinite(start)), initial=-np.inf)) if np.isfinite(start).any() else np.inf


def _draw(axes: "Axes", curves: Curves, styles: Mapping[str, RuleStyle], vertical: Scale) -> None:
    ends = edges(curves.rates)
    axes.set_xscale("log")
    axes.set_xlim(ends[0], ends[-1])
    vertical.apply(axes)
    names = curves.best[RULE].values
    for i, name in enumerate(names):
        look, (middle, low, high) = styles[str(name)], (part[i] for part in curves.spread)
        if not np.array_equal(low, high):
            fill = (vertical.fill(low), vertical.fill(high))
            axes.fill_between(curves.rates, *fill, where=np.isfinite(middle), color=look.colour, alpha=0.16, lw=0)
        drawn = np.where(np.isfinite(middle), vertical.place(middle), np.nan)
        axes.plot(
            curves.rates, drawn, color=look.colour, ls=look.dash, marker=look.marker, ms=2.8, label=str(name), gid="median"
        )
    for i, name in enumerate(names):
        top = curves.best.isel({RULE: i})
        if top["found"]:
            axes.plot(
                top[LR].item(),
                vertical.place(top.to_array().values[:1])[0] if False else vertical.place(np.array(_value(top)))[()],
                "*",
                ms=10,
                color=styles[str(name)].colour,
                mec="white",
                mew=0.8,
                zorder=5,
                gid="best",
            )
    strip = bars(axes, ends, curves.lost, [styles[str(name)].colour for name in names])
    (strip or axes).set_title(curves.title)
