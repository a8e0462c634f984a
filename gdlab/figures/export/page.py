"""A landscape as an interactive HTML page, drawn by plotly; the code of plotly is included in the page."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gdlab.atomic_file import whole_file
from gdlab.errors import UserError
from gdlab.figures.export.page_traces import ground, paths
from gdlab.figures.plane import plane_notes, surface_of, with_rules
from gdlab.figures.relief import Relief, relief
from gdlab.figures.relief_mesh import box
from gdlab.figures.wording import numbers

if TYPE_CHECKING:
    import xarray


def to_page(data: "xarray.Dataset", path: str | Path, *, log: Literal["auto"] | bool = "auto") -> Path:
    """Write an HTML page with the surface and the paths in three dimensions, which can be rotated and zoomed.

    The page is one file of about 5 MB, mostly the code of plotly, and needs no network. Hovering shows the loss and, on
    a path, the rule, the rate and the step. Cells whose loss is not finite are left out and counted in the caption. The
    same data give the same bytes.

    Args:
        data: as for the figure `surface_3d`.
        path: the file to write.
        log: whether heights are linear in log(loss - min + eps) instead of the loss; "auto": if loss - min spans more
            than two decades.

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
    small = " ".join(sentence + "." for sentence in plane_notes(data, surface.values, lost_cells="Left out"))
    figure = go.Figure(
        [ground(go, data, surface, heights), *paths(go, data, surface, heights)],
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
