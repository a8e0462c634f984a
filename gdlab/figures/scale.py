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
        """Values ready to be drawn: on a logarithmic axis what lies below its foot stands on it. NaN and infinity stay."""
        return np.where(values < self.low, self.low, values) if self.log else values

    def fill(self, values: np.ndarray) -> np.ndarray:
        """The ends of a band, with infinity brought to just outside the frame, where it can be drawn."""
        room = self.high - self.low
        ends = (self.low, self.high * 10) if self.log else (self.low - room, self.high + room)
        return np.clip(self.place(values), *ends)

    def apply(self, axes: "Axes") -> None:
        """Set up the vertical axis."""
        if self.log:
            axes.set_yscale("log")
        axes.set_ylim(self.low, self.high)


def scale(values: np.ndarray, ceiling: float = np.inf, limits: tuple[float, float] | None = None) -> Scale:
    """The scale for values: logarithmic if none is negative and the positive ones span more than a decade.

    Args:
        values: what is to be drawn; what is not finite does not count.
        ceiling: values above this may run out of the frame.
        limits: the ends, if they are given.
    """
    finite = values[np.isfinite(values)]
    finite = np.minimum(finite, ceiling)
    positive = finite[finite > 0]
    log = bool(len(positive)) and bool((finite >= 0).all()) and bool(positive.max() > 10 * positive.min())
    if limits is not None:
        return Scale(log and limits[0] > 0, *limits)
    if not len(finite):
        return Scale(False, 0.0, 1.0)
    high = float(finite.max())
    if log:
        low = max(float(positive.min()), high * 10.0**-DECADES)
        room = (high / low) ** 0.05
        return Scale(True, low / room, high * room)
    low = float(finite.min())
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return Scale(False, low - room, high + room)
