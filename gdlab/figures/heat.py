"""Heat maps: a colour for each cell, hatched where there is no finite value."""

from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab.figures.scale import scale
from gdlab.figures.style import PALE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize


def scale_of_colours(values: np.ndarray) -> "Normalize":
    """Colours from the least finite value to the greatest, logarithmic where `gdlab.figures.scale.scale` is."""
    from matplotlib.colors import LogNorm, Normalize

    finite = values[np.isfinite(values)]
    if scale(finite).log:
        positive = finite[finite > 0]
        return LogNorm(float(positive.min()), float(positive.max()), clip=True)
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    return Normalize(low, high if high > low else low + 1, clip=True)


def heat(axes: "Axes", x: np.ndarray, y: np.ndarray, values: np.ndarray, norm: "Normalize") -> Any:
    """Draw cells [y, x] between the edges x and y; infinite and missing cells show the hatched background."""
    axes.grid(False)
    axes.patch.set(facecolor="white", edgecolor=PALE, hatch="////")
    # A logarithmic scale has no colour for zero; zero gets the lowest colour.
    shown = values if norm.vmin is None else np.maximum(values, norm.vmin)
    mesh = axes.pcolormesh(x, y, np.ma.masked_invalid(shown), norm=norm, cmap="viridis", rasterized=True)
    mesh.set_gid("heat")
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[0], y[-1])
    return mesh
