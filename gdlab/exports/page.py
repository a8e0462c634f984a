"""A landscape as one page that turns in a browser, without a network: drawn by plotly, whose code is in the page.

A page written by hand on WebGL would be a hundredth of the size, and would have picking, labels, touch and contexts
lost and found to be kept right in every browser: that is what plotly.js is for.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gdlab.best import RULE
from gdlab.errors import UserError
from gdlab.exports.whole_file import whole_file
from gdlab.figures.plane import muted, rule_labels, surface_of, told, with_rules
from gdlab.figures.relief import Relief, lifted, on_surface, relief
from gdlab.figures.relief_mesh import box
from gdlab.figures.style import rule_styles
from gdlab.figures.wording import number, numbers

if TYPE_CHECKING:
    import xarray

# How far off the surface a path floats, as a share of its height.
CLEAR = 0.02


def to_page(data: "xarray.Dataset", path: str | Path, *, log: Literal["auto"] | bool = "auto") -> Path:
    """Write an HTML page with the surface and the paths in three dimensions, to be turned, zoomed and pointed at.

    The page is one file of about 5 MB, nearly all of it plotly's code, and opens from a disk without a network. Where
    it is pointed at, it tells the loss and, on a path, the rule, the rate and the step. Cells whose loss is not finite
    are left out, and their number is said. The same data give the same bytes.

    Args:
        data: as for the figure `surface_3d`.
        path: where to write.
        log: whether heights are even in log(loss - min + eps); "auto": if that spans more than two decades.

    Raises:
        UserError: plotly is not installed.
        SelectionError: no surface.
        OSError: the folder can't be written.
    """
    try:
        import plotly.graph_objects as go
    except ImportError:
        raise UserError('a page needs plotly, which is not installed: pip install "gdlab[page]"') from None
    path, surface, data = Path(path), surface_of(data), with_rules(data)
    heights = relief(surface.values, log)
    title = " · ".join(str(data.attrs[key]) for key in ("name", "problem") if data.attrs.get(key))
    small = " ".join(sentence + "." for sentence in told(data, surface.values, lost_cells="Left out"))
    figure = go.Figure(
        [_surface(go, data, surface, heights), *_paths(go, data, surface, heights)],
        {
            "template": "none",
            "scene": _scene(data, surface, heights),
            "title": {"text": title, "x": 0.02},
            "margin": {"l": 0, "r": 0, "t": 50 if title else 10, "b": 40},
            "legend": {"x": 0.98, "xanchor": "right", "y": 0.98},
            "font": {"family": "DejaVu Sans, sans-serif", "size": 13},
            "annotations": [
                {
                    "text": small,
                    "showarrow": False,
                    "xref": "paper",
                    "yref": "paper",
                    "x": 0.01,
                    "y": -0.04,
                    "xanchor": "left",
                    "font": {"size": 11, "color": "#555555"},
                }
            ],
        },
    )
    html = figure.to_html(
        include_plotlyjs=True,
        include_mathjax=False,
        div_id="landscape",
        default_height="96vh",
        config={"displaylogo": False, "responsive": True},
    )
    with whole_file(path) as partial:
        partial.write_text(html, encoding="utf-8")
    return path


def _surface(go: Any, data: "xarray.Dataset", surface: "xarray.DataArray", heights: Relief) -> Any:
    label = str(data.attrs.get("loss_label", "loss"))
    shades = muted("viridis", 32, 0.35)
    ticks = np.linspace(0, 1, 6)
    return go.Surface(
        x=surface["x"].values,
        y=surface["y"].values,
        z=heights.height(surface.values),
        customdata=np.where(np.isfinite(surface.values), surface.values, np.nan),
        cmin=0,
        cmax=1,
        colorscale=[
            (at, f"rgb({r:.0f}, {g:.0f}, {b:.0f})")
            for at, (r, g, b) in zip(np.linspace(0, 1, len(shades)).tolist(), 255 * shades, strict=True)
        ],
        colorbar={
            "title": {"text": label if heights.offset is None else f"{label}, log"},
            "tickvals": ticks,
            "ticktext": numbers(heights.loss(ticks).tolist()),
            "len": 0.6,
            "x": 0.0,
            "xanchor": "left",
            "thickness": 14,
        },
        contours={
            "z": {"show": True, "start": 0, "end": 1, "size": 0.05, "color": "rgba(255,255,255,0.5)", "width": 1}
        },
        lighting={"ambient": 0.8, "diffuse": 0.4, "specular": 0.02, "roughness": 0.9},
        hovertemplate=f"x %{{x:.4g}}<br>y %{{y:.4g}}<br>{label} %{{customdata:.5g}}<extra></extra>",
        showlegend=False,
        name="surface",
    )


def _paths(go: Any, data: "xarray.Dataset", surface: "xarray.DataArray", heights: Relief) -> Iterator[Any]:
    styles = rule_styles(rule_labels(data))
    rates = np.broadcast_to(data["lr"], data.sizes[RULE]) if "lr" in data.coords else None
    steps = data["path_step"].values if "path_step" in data.variables else None
    for path, loss in lifted(data, surface):
        count = path.points if steps is None else steps[path.points]
        name = f"{path.name}  lr {number(rates[path.run])}" if rates is not None else path.name
        colour, there = styles[path.name].colour, np.flatnonzero(np.isfinite(heights.height(loss)))
        ends = there[[0, -1]] if len(there) else there
        looks: tuple[tuple[Any, dict[str, Any]], ...] = (
            (slice(None), {"mode": "lines", "line": {"color": colour, "width": 7}, "name": name.strip() or "path"}),
            (ends, {"mode": "markers", "marker": _mark("circle", ["#FFFFFF", colour]), "showlegend": False}),
        )
        for at, look in looks:
            yield go.Scatter3d(
                x=path.x[at],
                y=path.y[at],
                z=heights.height(loss[at]) + CLEAR,
                customdata=np.stack([count[at], loss[at]], axis=-1),
                hovertemplate=f"{name}<br>step %{{customdata[0]}}<br>loss %{{customdata[1]:.5g}}<extra></extra>",
                legendgroup=f"{path.name} {path.run}",
                connectgaps=False,
                **look,
            )
    if "min_x" in data and "min_y" in data:
        x, y = data["min_x"].values.astype(float), data["min_y"].values.astype(float)
        z = heights.height(on_surface(surface, x, y)) + CLEAR
        yield go.Scatter3d(
            x=x, y=y, z=z, mode="markers", marker=_mark("diamond", "#FFFFFF"), name="minimum", hoverinfo="name"
        )


def _mark(symbol: str, colour: "str | list[str]") -> dict[str, Any]:
    return {"symbol": symbol, "size": 6, "color": colour, "opacity": 1, "line": {"color": "#1A1A1A", "width": 2}}


def _scene(data: "xarray.Dataset", surface: "xarray.DataArray", heights: Relief) -> dict[str, Any]:
    ticks = np.linspace(0, 1, 5)
    axes: dict[str, dict[str, Any]] = {
        f"{name}axis": {
            "title": {"text": str(data.attrs.get(f"{name}_label", name))},
            "range": [float(surface[name].min()), float(surface[name].max())],
        }
        for name in ("x", "y")
    }
    axes["zaxis"] = {
        "title": {"text": str(data.attrs.get("loss_label", "loss"))},
        "range": [-0.02, 1.05],
        "tickvals": ticks,
        "ticktext": numbers(heights.loss(ticks).tolist()),
    }
    x, y, z = box(surface).tolist()
    return axes | {
        "aspectmode": "manual",
        "aspectratio": {"x": 1.4 * x, "y": 1.4 * y, "z": 1.4 * z},
        "camera": {"eye": {"x": 1.1, "y": -1.9, "z": 1.35}, "center": {"x": 0, "y": 0, "z": -0.2}},
    }
