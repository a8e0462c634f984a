"""The surface of a 3-D figure: its coloured and shaded cells, and which points it hides."""

from typing import TYPE_CHECKING

import numpy as np

from gdlab.figures.plane import muted
from gdlab.figures.relief import Relief, on_surface

if TYPE_CHECKING:
    import xarray
    from mpl_toolkits.mplot3d import Axes3D
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

# The maximum number of points drawn along an axis; more are not visible in print.
FINEST = 101
# The height of the box, whose longer side is 1.
HEIGHT = 0.5
# The fraction of ambient light, and the direction of the directional light in the box (Lambert's cosine law).
AMBIENT, SUN = 0.78, np.array([-0.45, 0.45, 0.77])


def box(surface: "xarray.DataArray") -> np.ndarray:
    """The sides [3] of the box, in the proportions of the plane, each at least 0.5."""
    x, y = (float(np.ptp(surface[name].values)) for name in ("x", "y"))
    longest = max(x, y)
    return np.array([max(x / longest, 0.5), max(y / longest, 0.5), HEIGHT])


def mesh(surface: "xarray.DataArray", heights: Relief) -> "Poly3DCollection":
    """A quadrilateral for each cell with finite corners, coloured by its height and shaded."""
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    rows, columns = (_thinned(size) for size in surface.shape)
    shown = surface.isel(y=rows, x=columns)
    x, y = np.meshgrid(shown["x"].values.astype(float), shown["y"].values.astype(float))
    points = np.stack([x, y, heights.height(shown.values)], axis=-1)
    corners = np.stack([points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]], axis=2)
    cells = corners.reshape(-1, 4, 3)
    cells = cells[np.isfinite(cells).all(axis=(1, 2))]
    shades = muted("viridis", 256, 0.35)[(255 * cells[:, :, 2].mean(axis=1)).round().astype(int)]
    # Lighting uses the proportions of the box, not of the coordinates.
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
    """Whether each of the points [3, n] is not hidden by the surface, in an orthographic view."""
    elevation, azimuth = np.deg2rad([axes.elev, axes.azim])
    toward = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    # The longest side of the box is 1, so a ray of length 2 ends outside the box.
    way = (toward / _scales(surface))[:, None, None] * np.linspace(0, 2, 401)
    rays = points[..., None] + way
    return ~(heights.height(on_surface(surface, rays[0], rays[1])) > rays[2]).any(axis=-1)


def _scales(surface: "xarray.DataArray") -> np.ndarray:
    """The factors [3] from x, y and height to units of the box."""
    return box(surface) / [*(float(np.ptp(surface[name].values)) for name in ("x", "y")), 1.0]


def _thinned(size: int) -> np.ndarray:
    """The indices of the points that are drawn, including the first and the last."""
    return np.unique(np.linspace(0, size - 1, min(size, FINEST)).round().astype(int))
