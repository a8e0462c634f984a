"""Heights of the loss on a plane, for three-dimensional figures and files."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from gdlab.analysis.selection import RULE
from gdlab.figures.levels import levels
from gdlab.figures.paths import Path, paths

if TYPE_CHECKING:
    import xarray


class Relief(NamedTuple):
    """Heights from 0 (the least finite loss) to 1 (the greatest), linear in the loss or in log(loss - offset).

    Attributes:
        low, high: the losses at heights 0 and 1.
        offset: a number just below the least loss; None: heights are linear in the loss.
    """

    low: float
    high: float
    offset: float | None

    def height(self, loss: np.ndarray) -> np.ndarray:
        """The heights of losses; outside [0, 1] for losses outside [low, high], and NaN instead of infinite."""
        loss = np.asarray(loss, float)
        if self.offset is None:
            heights = (loss - self.low) / (self.high - self.low)
        else:
            with np.errstate(divide="ignore", invalid="ignore"):
                heights = np.log((loss - self.offset) / (self.low - self.offset))
            heights = heights / np.log((self.high - self.offset) / (self.low - self.offset))
        return np.where(np.isfinite(heights), heights, np.nan)

    def loss(self, height: np.ndarray) -> np.ndarray:
        """The losses at heights; the inverse of `height`."""
        height = np.asarray(height, float)
        if self.offset is None:
            return self.low + height * (self.high - self.low)
        return self.offset + (self.low - self.offset) ** (1 - height) * (self.high - self.offset) ** height


def relief(loss: np.ndarray, log: Literal["auto"] | bool = "auto") -> Relief:
    """The heights of a surface; `log` as in `gdlab.figures.levels.levels`."""
    ends = levels(loss, 1, log)
    return Relief(float(ends.values[0]), float(ends.values[-1]), ends.offset)


def on_surface(surface: "xarray.DataArray", x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear interpolation of a surface [y, x]; NaN outside, and in cells with a corner that is not finite."""
    values = np.where(np.isfinite(surface.values), surface.values.astype(float), np.nan)
    (row, up), (column, along) = (
        _cell(surface[axis].values.astype(float), np.asarray(at, float)) for axis, at in (("y", y), ("x", x))
    )
    lower = values[row, column] * (1 - along) + values[row, column + 1] * along
    upper = values[row + 1, column] * (1 - along) + values[row + 1, column + 1] * along
    return lower * (1 - up) + upper * up


def lifted(data: "xarray.Dataset", surface: "xarray.DataArray") -> Iterator[tuple[Path, np.ndarray]]:
    """Each path with the loss on the plane at its points.

    The loss is `path_plane_loss` if the data have it, else an interpolation of the surface. It is NaN outside the plane
    and where the surface is not finite.
    """
    for path in paths(data):
        loss = on_surface(surface, path.x, path.y)
        if "path_plane_loss" in data:
            known = data["path_plane_loss"].transpose(RULE, ...)
            loss = np.where(np.isfinite(loss), known.values[path.run].astype(float)[path.points], np.nan)
        yield path, loss


def _cell(grid: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The index of the cell of an ascending grid that contains each point, and the position in it (0 to 1 or NaN)."""
    cell = np.clip(np.searchsorted(grid, at, side="right") - 1, 0, len(grid) - 2)
    share = (at - grid[cell]) / (grid[cell + 1] - grid[cell])
    return cell, np.where((at >= grid[0]) & (at <= grid[-1]), share, np.nan)
