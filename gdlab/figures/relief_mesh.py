"""A relief in the box of a 3-D figure: its cells, coloured and lit, and what they hide from the eye."""

from typing import TYPE_CHECKING

import numpy as np

from gdlab.figures.plane import muted
from gdlab.figures.relief import Relief, on_surface

if TYPE_CHECKING:
    import xarray
    from mpl_toolkits.mplot3d import Axes3D
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

# Points along an axis that are drawn: more are finer than paper.
FINEST = 101
# How high the box is, its longer side being 1.
HEIGHT = 0.5
# The share of the light that comes from everywhere; where the rest comes from, in the box (Lambert's cosine law).
AMBIENT, SUN = 0.78, np.array([-0.45, 0.45, 0.77])


def box(surface: "xarray.DataArray") -> np.ndarray:
    """The sides [3] of the box: those of the plane as it is, but none so short that it vanishes."""
    x, y = (float(np.ptp(surface[name].values)) for name in ("x", "y"))
    longest = max(x, y)
    return np.array([max(x / longest, 0.5), max(y / longest, 0.5), HEIGHT])


def mesh(surface: "xarray.DataArray", heights: Relief) -> "Poly3DCollection":
    """A quadrilateral for each cell whose corners are all finite, coloured by its height and lit."""
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    rows, columns = (_thinned(size) for size in surface.shape)
    shown = surface.isel(y=rows, x=columns)
    x, y = np.meshgrid(shown["x"].values.astype(float), shown["y"].values.astype(float))
    points = np.stack([x, y, heights.height(shown.values)], axis=-1)
    corners = np.stack([points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]], axis=2)
    cells = corners.reshape(-1, 4, 3)
    cells = cells[np.isfinite(cells).all(axis=(1, 2))]
    shades = muted("viridis", 256, 0.35)[(255 * cells[:, :, 2].mean(axis=1)).round().astype(int)]
    # Lit as it is seen: in the box's proportions, not in those of the plane's coordinates.
    seen = cells * _scales(surface)
    normals = np.cross(seen[:, 2] - seen[:, 0], seen[:, 3] - seen[:, 1])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    shades = shades * (AMBIENT + (1 - AMBIENT) * np.clip(normals @ SUN, 0, 1))[:, None]
    made = Poly3DCollection(cells, facecolors=shades, edgecolors=shades, linewidths=0.15)
    made.set_gid("surface")
    made.set_rasterized(True)
    made.set_clip_on(False)
    return made


def visible(axes: "Axes3D", surface: "xarray.DataArray", heights: Relief, points: np.ndarray) -> np.ndarray:
    """Whether no part of the surface stands between points [3, n] and the eye, in a view without perspective."""
    elevation, azimuth = np.deg2rad([axes.elev, axes.azim])
    toward = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    # Two units of the box, whose longest side is one, leave it for certain.
    way = (toward / _scales(surface))[:, None, None] * np.linspace(0, 2, 401)
    rays = points[..., None] + way
    return ~(heights.height(on_surface(surface, rays[0], rays[1])) > rays[2]).any(axis=-1)


def _scales(surface: "xarray.DataArray") -> np.ndarray:
    """The box's units in one of x, of y and of a height, [3]."""
    return box(surface) / [*(float(np.ptp(surface[name].values)) for name in ("x", "y")), 1.0]


def _thinned(size: int) -> np.ndarray:
    """The places of the points that are drawn, the first and the last among them."""
    return np.unique(np.linspace(0, size - 1, min(size, FINEST)).round().astype(int))
