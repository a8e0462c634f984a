"""The plotly traces of a landscape: a surface, paths and markers."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab.analysis.selection import RULE
from gdlab.figures.plane import muted, rule_labels
from gdlab.figures.relief import Relief, lifted, on_surface
from gdlab.figures.style import rule_styles
from gdlab.figures.wording import number, numbers

if TYPE_CHECKING:
    import xarray

# The distance of a path from the surface, as a share of its height.
CLEAR = 0.02


def ground(go: Any, data: "xarray.Dataset", surface: "xarray.DataArray", heights: Relief) -> Any:
    """The surface, coloured by its height, with contour lines; hovering shows the loss."""
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


def paths(go: Any, data: "xarray.Dataset", surface: "xarray.DataArray", heights: Relief) -> Iterator[Any]:
    """A line for each path, its two ends, and known minima; `go` is `plotly.graph_objects`."""
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
