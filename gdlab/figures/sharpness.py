"""Figure of the sharpness and the loss over the steps (edge of stability)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gdlab import register
from gdlab.analysis.selection import SEED
from gdlab.errors import SelectionError
from gdlab.figures.drawable import needs_no_other_axis
from gdlab.figures.frame import LINE
from gdlab.figures.panels import selected
from gdlab.figures.scale import Scale, scale
from gdlab.figures.sharpness_data import Sharpness, sharpness_of
from gdlab.figures.sharpness_marks import draw, handles
from gdlab.figures.style import Width, new_figure, style
from gdlab.figures.wording import caption, counts, spelled, title

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The maximum number of rates in a panel; the maximum number of panels side by side.
MOST = 5
ABREAST: dict[Width, int] = {"single": 2, "double": 4}


@register.figure(
    "sharpness",
    dims=("lr", "step"),
    of="sweep",
    source="Cohen et al. 2021, figure 1",
    needs=needs_no_other_axis(lambda options: ABREAST[options.get("width", "double")]),
)
def sharpness(
    data: "xarray.Dataset",
    *,
    of_what: Literal["sharpness", "preconditioned_sharpness"] = "sharpness",
    lrs: Sequence[float] | None = None,
    select: Mapping[str, Any] | None = None,
    width: Width = "double",
) -> "Figure":
    """Sharpness against the step at several rates, with the stability threshold of each; below it, the loss.

    A dashed line in the colour of a rate is the theoretical threshold of stability at that rate: 2 / lr for gradient
    descent. A cross marks where half of the seeds or more have diverged. Lines are medians over seeds; steps without
    measurements are left out.

    Args:
        data: the results of a sweep with the axes `lr` and optionally `rule` and `seed`, and with the series `of_what`.
            The thresholds are the variable `threshold` over (rule, lr), NaN where unknown, whose attribute `of` is the
            name of the series; or c / lr, where the variable `stability_SERIES` holds the constant c of each rule.
        of_what: the series: the greatest eigenvalue of the Hessian, or of the Hessian preconditioned as in the rule.
        lrs: the rates to show; the nearest rates of the sweep are used. By default up to five rates, evenly spaced
            among those at which some rule has at least two finite values.
        select: `{axis: value}` shows the nearest slice, `{axis: [values]}` several.
        width: "single" or "double" column.

    Raises:
        SelectionError: no such series; too many rules or axes; a value of `select` that does not exist.
    """
    data = selected(data, select)
    curves = sharpness_of(data, of_what)
    losses = sharpness_of(data, "loss")._replace(thresholds=np.full_like(curves.thresholds, np.nan))
    if len(curves.names) > ABREAST[width]:
        example = f"select={{'rule': {curves.names[: ABREAST[width]]!r}}}"
        raise SelectionError(
            f"{len(curves.names)} rules don't fit side by side (at most {ABREAST[width]}): choose some, as in {example}"
        )
    places = _shown(curves, lrs)
    with style():
        columns, entries = len(curves.names), handles(curves, places)
        beside = width == "double"
        lines = LINE * -(-len(entries) // 2)
        figure = new_figure(width, 3.6 if beside else 3.9 + lines)
        ratios = [1.35, 1] if beside else [1.85, 1.35, lines]
        grid = figure.add_gridspec(len(ratios), columns, height_ratios=ratios)
        rows: list[list[Axes]] = []
        for row, one in enumerate((curves, losses)):
            vertical = _scale(one, places)
            rows.append([])
            for column in range(columns):
                first = rows[row][0] if column else None
                axes = figure.add_subplot(grid[row, column], sharey=first, sharex=rows[0][column] if row else None)
                draw(axes, one, column, places, vertical)
                axes.tick_params(labelbottom=row == 1, labelleft=column == 0)
                rows[row].append(axes)
            rows[row][0].set_ylabel((of_what if row == 0 else "loss").replace("_", " "))
        for axes, name in zip(rows[0], curves.names, strict=True):
            axes.set_title(name)
        for axes in rows[1]:
            axes.set_xlabel("step")
        if beside:
            figure.legend(handles=entries, loc="outside right upper")
        else:
            below = figure.add_subplot(grid[2, :])
            below.axis("off")
            below.legend(handles=entries, loc="upper left", ncols=2, borderaxespad=0)
        title(figure, data)
        caption(figure, _sentences(data, curves, places), width)
    return figure


def _shown(curves: Sharpness, lrs: Sequence[float] | None) -> list[int]:
    """The indices of the rates that are shown."""
    if lrs is not None:
        if not len(lrs):
            raise SelectionError("lrs must contain at least one rate")
        return sorted({int(np.abs(np.log(curves.rates / rate)).argmin()) for rate in lrs})
    lived = np.flatnonzero((np.isfinite(curves.values).sum(axis=-1) > 1).any(axis=0))
    lived = lived if len(lived) else np.arange(len(curves.rates))
    return sorted({int(lived[i]) for i in np.linspace(0, len(lived) - 1, min(MOST, len(lived))).round().astype(int)})


def _scale(one: Sharpness, places: list[int]) -> Scale:
    """The vertical scale: it contains the lines, and the thresholds that are close to them."""
    bands = one.thresholds[:, places].ravel()
    start = one.values[:, places, 0]
    ceiling = 100 * np.max(start, where=np.isfinite(start), initial=-np.inf)
    return scale(one.values[:, places].ravel(), bands, ceiling if ceiling > 0 else np.inf)


def _sentences(data: "xarray.Dataset", curves: Sharpness, places: list[int]) -> list[str]:
    seeds = data.sizes.get(SEED, 1)
    lost = [name for name, own in zip(curves.names, curves.thresholds, strict=True) if not np.isfinite(own).any()]
    known = np.isfinite(curves.thresholds).any()
    return [
        f"Lines: medians over {seeds} seeds, a diverged run counting as infinite" if seeds > 1 else "",
        f"No threshold is known for {spelled(lost)}" if known and lost else "",
        f"{len(places)} of {len(curves.rates)} rates" if len(places) < len(curves.rates) else "",
        f"Chosen from {counts(data, 'final_loss')}" if "final_loss" in data else "",
    ]
