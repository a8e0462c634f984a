"""Where a vertical axis starts and ends, and whether it is logarithmic."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A logarithmic axis shows no more decades than this below its top: past it, float32 losses are rounding.
DECADES = 16


class Scale(NamedTuple):
    """A vertical axis: its ends, with room to breathe, and whether it is logarithmic."""

    log: bool
    low: float
    high: float

    def place(self, values: np.ndarray) -> np.ndarray:
        """Values ready to be drawn: what lies below a logarithmic axis stands on its foot. NaN and infinity stay."""
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
) -> Scale:
    """The scale for lines: logarithmic if none of their values is negative and the positive ones span over a decade.

    Args:
        lines: what must be seen; what is not finite does not count.
        bands: what should be seen, as far as it reaches past the lines by no more than half of their extent.
        ceiling: values above this may run out of the frame.
        limits: the ends, if they are given.
    """
    finite = np.minimum(lines[np.isfinite(lines)], ceiling)
    positive = finite[finite > 0]
    log = bool(len(positive)) and bool((finite >= 0).all()) and bool(positive.max() > 10 * positive.min())
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
    """The ends of lines, moved out to take in bands as far as a wild seed does not flatten the lines."""
    if bands is None:
        return low, high
    bands = bands[np.isfinite(bands)]
    most = (high - low) / 2 or np.inf  # a flat line has no extent to spoil
    near = bands[(bands >= low - most) & (bands <= high + most)]
    return min(low, float(near.min(initial=low))), max(high, float(near.max(initial=high)))
