"""Figure of the spectral density of a Hessian."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from gdlab import register
from gdlab.errors import SelectionError
from gdlab.figures.frame import frame, surround
from gdlab.figures.panels import selected
from gdlab.figures.run_names import names_of_lines
from gdlab.figures.style import RuleStyle, Width, rule_styles, style
from gdlab.figures.wording import number

if TYPE_CHECKING:
    import xarray
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

EIGENVALUE = "eigenvalue"


class Spectrum(NamedTuple):
    """A density over the eigenvalues, with the greatest eigenvalues and the trace where known."""

    name: str
    density: np.ndarray
    top: np.ndarray
    trace: float


@register.figure("spectrum", of="spectrum", source="Ghorbani, Krishnan, Xiao 2019; Yao et al. 2020")
def spectrum(
    data: "xarray.Dataset",
    *,
    decades: float | None = None,
    xscale: Literal["linear", "symlog"] = "linear",
    select: Mapping[str, Any] | None = None,
    width: Width = "single",
) -> "Figure":
    """The density of the Hessian's eigenvalues, on a logarithmic axis; ticks at the bottom: the greatest ones.

    The density integrates to 1, so each of the n eigenvalues has a weight of 1 / n. The caption gives the trace.

    Args:
        data: `density` over eigenvalue and optionally over `rule` or `run` (one line for each). Optional variables:
            `trace`, over `rule` or `run`; `top`, the greatest eigenvalues, with one additional dim. Attributes:
            `width`, the standard deviation of the Gaussians of the smoothing; `parameters`, the number of eigenvalues;
            `paths`, a sentence for the caption.
        decades: the decades shown below the peak; by default down to a tenth of the peak of a single smoothed
            eigenvalue, or 8 if `width` or `parameters` is missing.
        xscale: "linear", or "symlog" where a few eigenvalues lie far outside the bulk.
        select: `{axis: value}` shows the nearest slice, `{axis: [values]}` several.
        width: "single" or "double" column.

    Raises:
        SelectionError: no such variable; other dims; too many lines; another `xscale`;
            `decades` not above 0.
    """
    if xscale not in ("linear", "symlog"):
        raise SelectionError(f"xscale must be linear or symlog, not {xscale!r}")
    if decades is not None and not decades > 0:
        raise SelectionError(f"decades must be above 0, not {decades}")
    data = selected(data, select)
    at, shown = _spectra(data)
    styles = rule_styles([one.name for one in shown])
    peak = max((float(np.max(one.density, where=np.isfinite(one.density), initial=0)) for one in shown), default=0)
    with style():
        made = frame(1, width, _handles(shown, styles))
        (axes,) = made.panels
        axes.set_yscale("log")
        if peak > 0:
            axes.set_ylim(peak * 10.0 ** -(decades or _decades(data, peak)), peak * 3)
        if xscale == "symlog":
            axes.set_xscale("symlog", linthresh=_bulk(at, shown))
        foot = axes.get_ylim()[0]
        for row, one in enumerate(shown):
            look = styles[one.name]
            axes.fill_between(at, foot, np.maximum(one.density, foot), color=look.colour, alpha=0.12, lw=0)
            (line,) = axes.plot(at, np.where(one.density > 0, one.density, np.nan), color=look.colour, ls=look.dash)
            line.set_gid("density")
            if len(one.top):
                low = 0.045 * row
                ticks = axes.vlines(one.top, low, low + 0.04, color=look.colour, lw=1.1, zorder=4, clip_on=False)
                ticks.set_transform(axes.get_xaxis_transform())
                ticks.set_gid("top")
        ends = np.concatenate([at, *(one.top for one in shown)])
        axes.set_xlim(float(np.nanmin(ends)), float(np.nanmax(ends)))
        labels = {"xlabel": "eigenvalue of the Hessian", "ylabel": "density"}
        surround(made, data, width, **labels, sentences=_sentences(data, shown))
    return made.figure


def _spectra(data: "xarray.Dataset") -> tuple[np.ndarray, list[Spectrum]]:
    if "density" not in data or EIGENVALUE not in data["density"].dims:
        raise SelectionError("a spectrum needs a variable 'density' over the dim eigenvalue")
    others = [str(dim) for dim in data["density"].dims if dim != EIGENVALUE]
    shown = []
    for place, name in enumerate(names_of_lines(data, "density", others)):
        one = data.isel({others[0]: place}) if others else data
        top = one["top"].values.astype(float).ravel() if "top" in one else np.array([])
        trace = float(one["trace"]) if "trace" in one else float(one.attrs.get("trace", np.nan))
        shown.append(Spectrum(name, one["density"].values.astype(float), top[np.isfinite(top)], trace))
    return data[EIGENVALUE].values.astype(float), shown


def _decades(data: "xarray.Dataset", peak: float) -> float:
    """The decades from `peak` down to a tenth of the height of a Gaussian with weight 1 / n; 8 if unknown."""
    width, size = (float(data.attrs.get(name, 0)) for name in ("width", "parameters"))
    if not (width > 0 and size > 0):
        return 8.0
    return max(1.0, float(np.log10(peak * 10 * size * width * np.sqrt(2 * np.pi))))


def _bulk(at: np.ndarray, shown: list[Spectrum]) -> float:
    """The end of the linear part of a symmetric logarithmic axis: the 90% quantile of |eigenvalue|."""
    widths = []
    for one in shown:
        weight = np.where(np.isfinite(one.density), one.density, 0) * np.gradient(at)
        order = np.argsort(np.abs(at))
        mass = np.cumsum(weight[order])
        widths.append(np.abs(at[order])[np.searchsorted(mass, 0.9 * mass[-1])])
    return float(max(*widths, np.abs(np.diff(at)).min()))


def _handles(shown: list[Spectrum], styles: dict[str, RuleStyle]) -> "list[Artist]":
    from matplotlib.lines import Line2D

    looks = [(styles[one.name], one.name) for one in shown if one.name]
    return [Line2D([], [], color=look.colour, ls=look.dash, label=name) for look, name in looks]


def _sentences(data: "xarray.Dataset", shown: list[Spectrum]) -> list[str]:
    traces = [f"{one.name} {number(one.trace, 3)}".strip() for one in shown if np.isfinite(one.trace)]
    counts = {len(one.top) for one in shown} - {0}
    greatest = f"the {counts.pop()} greatest eigenvalues" if len(counts) == 1 else "the greatest eigenvalues"
    return [
        f"Of {data.attrs['parameters']:,} eigenvalues" if "parameters" in data.attrs else "",
        f"Smoothed by Gaussians of standard deviation {number(data.attrs['width'])}" if "width" in data.attrs else "",
        str(data.attrs.get("paths", "")),
        f"Ticks at the bottom: {greatest}" if any(len(one.top) for one in shown) else "",
        f"Trace: {', '.join(traces)}" if traces else "",
    ]
