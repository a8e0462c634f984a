"""The lines, stars, bars and legend of a sensitivity figure."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gdlab.figures.fates import bars, edges, evenly_spaced
from gdlab.figures.scale import Scale
from gdlab.figures.sensitivity_data import Curves
from gdlab.figures.style import GREY, RuleStyle
from gdlab.figures.wording import number

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


def draw(axes: "Axes", curves: Curves, styles: Mapping[str, RuleStyle], vertical: Scale, label: str) -> None:
    """Draw a panel; `label` is the name of the theoretical limit of stability."""
    ends = edges(curves.cells)
    axes.set_xscale("linear" if evenly_spaced(curves.cells) else "log")
    axes.set_xlim(ends[0], ends[-1])
    vertical.apply(axes)
    for i, name in enumerate(curves.names):
        look = styles[name]
        middle, low, high = (vertical.place(part[i]) for part in curves.spread)
        if not np.array_equal(low, high):
            where = curves.spread.bounded[i]
            if curves.joined:
                axes.fill_between(curves.rates, low, high, where=where, color=look.colour, alpha=0.16, lw=0)
            else:
                axes.vlines(curves.rates[where], low[where], high[where], color=look.colour, alpha=0.3, lw=1)
        line = np.where(np.isfinite(middle), middle, np.nan)
        (drawn,) = axes.plot(
            curves.rates,
            line,
            color=look.colour,
            ls=look.dash if curves.joined else "none",
            marker=look.marker,
            ms=2.8,
            label=name,
        )
        drawn.set_gid("median")
    for name, rate, value in zip(curves.names, curves.best_rate, curves.best_value, strict=True):
        if np.isfinite(rate):
            (star,) = axes.plot(
                rate,
                vertical.place(value),
                "*",
                ms=10,
                c=styles[name].colour,
                mec="white",
                mew=0.8,
                zorder=5,
                clip_on=False,
            )
            star.set_gid("best")
    _limits(axes, curves, styles, label)
    strip = bars(axes, ends, curves.lost, [styles[name].colour for name in curves.names])
    # An empty title separates the bars from the title of the figure.
    (strip or axes).set_title(curves.title or " ", fontsize=8.5 if curves.title else 2)
    if not np.isfinite(curves.best_rate).any():
        reasons = set(curves.reasons)
        words = reasons.pop() if len(reasons) == 1 else "no rule has a best rate"
        axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", color=GREY)


def _limits(axes: "Axes", curves: Curves, styles: Mapping[str, RuleStyle], label: str) -> None:
    """Draw the theoretical limits of stability that lie inside the frame; a single limit is labelled."""
    low, high = axes.get_xlim()
    inside = {name: at for name, at in zip(curves.names, curves.limits, strict=True) if low <= at <= high}
    single = len(set(inside.values())) == 1
    for name, at in inside.items():
        line = axes.axvline(at, color=GREY if single else styles[name].colour, ls=(0, (2, 2)), lw=1, zorder=1)
        line.set_gid("stable_lr")
    if single:
        at = next(iter(inside.values()))
        axes.annotate(
            f"{label} = {number(at)}",
            (at, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-3, -4),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="top",
            fontsize=7.5,
            color=GREY,
        )


def handles(shown: Sequence[Curves], styles: Mapping[str, RuleStyle], label: str) -> "list[Artist]":
    """Legend entries: the rules (in a single panel with their best rates), the star, and differing stability limits."""
    from matplotlib.lines import Line2D

    entries: list[Artist] = []
    star, colour = "best rate", GREY
    for i, name in enumerate(shown[0].names):
        look, best = styles[name], _best(shown[0], i) if len(shown) == 1 else ""
        if name:
            words = f"{name}  {best}".strip()
            dash = look.dash if shown[0].joined else "none"
            entries.append(Line2D([], [], color=look.colour, ls=dash, marker=look.marker, ms=2.8, label=words))
        elif best:
            star, colour = best, look.colour
    if any(np.isfinite(curves.best_rate).any() for curves in shown):
        entries.append(Line2D([], [], marker="*", ms=9, ls="", color=colour, mec="white", label=star))
    known = [{at for at in curves.limits if np.isfinite(at)} for curves in shown]
    if any(len(limits) > 1 for limits in known):
        entries.append(Line2D([], [], color=GREY, ls=(0, (2, 2)), lw=1, label=label))
    return entries


def _best(curves: Curves, rule: int) -> str:
    rate = curves.best_rate[rule]
    if not np.isfinite(rate):
        return curves.reasons[rule]
    edge = len(curves.cells) > 1 and rate in (curves.cells[0], curves.cells[-1])
    return f"best lr {number(rate)}{' (end of range)' if edge else ''}"
