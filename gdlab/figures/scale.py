"""The limits of a vertical axis, and whether it is logarithmic."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The maximum number of decades of a logarithmic axis; float32 losses below this range are rounding errors.
DECADES = 16


class Scale(NamedTuple):
    """A vertical axis: whether it is logarithmic, and its limits, with a margin."""

    log: bool
    low: float
    high: float

    def place(self, values: np.ndarray) -> np.ndarray:
        """The values to draw: values below a logarithmic axis are raised to its lower limit; NaN and inf are kept."""
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
    """The scale for lines: logarithmic if no value is negative and the positive values span more than a decade.

    Args:
        lines: the values that the axis must contain; non-finite values are ignored.
        bands: further values; the axis is extended to those that exceed the lines by at most half of their extent.
        ceiling: values above this do not extend the axis.
        limits: the limits of the axis; by default they are computed from the other arguments.
        linear: whether the axis is always linear, as for an accuracy.
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
    """The limits of the lines, extended to nearby bands only, so that one outlying seed does not flatten the lines."""
    if bands is None:
        return low, high
    bands = bands[np.isfinite(bands)]
    most = (high - low) / 2 or np.inf  # a flat line has no extent
    near = bands[(bands >= low - most) & (bands <= high + most)]
    return min(low, float(near.min(initial=low))), max(high, float(near.max(initial=high)))
