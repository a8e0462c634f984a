"""The limits of a vertical axis, and whether it is logarithmic."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The most decades of a logarithmic axis; smaller float32 losses are rounding errors.
DECADES = 16


class Scale(NamedTuple):
    """A vertical axis: whether it is logarithmic, and its limits, with a margin."""

    log: bool
    low: float
    high: float

    def place(self, values: np.ndarray) -> np.ndarray:
        """Values to draw: those below a logarithmic axis are moved to its lower limit. NaN and infinity stay."""
        return np.where(values < self.low, self.low, values) if self.log else values

    def apply(self, axes: "Axes") -> None:
        """Set up the vertical axis."""
        if self.log:
            axes.set_yscale("log")
        axes.set_ylim(self.low, self.high)


def scale(
    lines: np.ndarray,
    bands: np.ndarray | None = None,
    ceiling: float = np.inf,
    limits: tuple[float, float] | None = None,
    linear: bool = False,
) -> Scale:
    """The scale for lines: logarithmic if none of their values is negative and the positive ones span over a decade.

    Args:
        lines: the values that the axis must show; those that are not finite are ignored.
        bands: values that it shows too, if they exceed the lines by at most half of the extent of the lines.
        ceiling: the axis need not show values above this.
        limits: the limits, if they are given.
        linear: never logarithmic, as for an accuracy.
    """
    finite = np.minimum(lines[np.isfinite(lines)], ceiling)
    positive = finite[finite > 0]
    log = (
        not linear and bool(len(positive)) and bool((finite >= 0).all()) and bool(positive.max() > 10 * positive.min())
    )
    if limits is not None:
        return Scale(log and limits[0] > 0, *limits)
    if not len(finite):
        return Scale(False, 0.0, 1.0)
    high = float(finite.max())
    if log:
        low = max(float(positive.min()), high * 10.0**-DECADES)
        low, high = _reach(np.log10(low), np.log10(high), np.log10(bands[bands > 0]) if bands is not None else None)
        room = 0.05 * (high - low)
        return Scale(True, 10 ** (low - room), 10 ** (high + room))
    low, high = _reach(float(finite.min()), high, bands)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return Scale(False, low - room, high + room)


def _reach(low: float, high: float, bands: np.ndarray | None) -> tuple[float, float]:
    """The limits of lines, extended to bands that are near, so that one outlying seed does not flatten the lines."""
    if bands is None:
        return low, high
    bands = bands[np.isfinite(bands)]
    most = (high - low) / 2 or np.inf  # a flat line has no extent
    near = bands[(bands >= low - most) & (bands <= high + most)]
    return min(low, float(near.min(initial=low))), max(high, float(near.max(initial=high)))
