"""A line and a band from the runs of several seeds."""

from typing import NamedTuple

import numpy as np

# With fewer seeds than this a band of quantiles would be one of extremes by another name.
ENOUGH = 10


class Spread(NamedTuple):
    """The median over seeds and the ends of a band around it. Runs that diverged count as infinite, in all three."""

    middle: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def bounded(self) -> np.ndarray:
        """Where there is a band to draw: it is finite at both ends."""
        return np.isfinite(self.low) & np.isfinite(self.high)


def spread(values: np.ndarray, axis: int) -> Spread:
    """The median over an axis of seeds, with the band from the 10% to the 90% quantile, or, below 10 seeds, from the
    least to the greatest. A quantile that falls between two runs is the outer of them, so that infinity stays infinity.
    NaN makes NaN.
    """
    share = 0.1 if values.shape[axis] >= ENOUGH else 0.0
    return Spread(
        np.median(values, axis=axis),
        np.quantile(values, share, axis=axis, method="lower"),
        np.quantile(values, 1 - share, axis=axis, method="higher"),
    )


def described(seeds: int) -> str:
    """What line and band are, in words."""
    if seeds == 1:
        return ""
    band = "10–90% quantiles" if seeds >= ENOUGH else "least to greatest"
    return f"Line: median over {seeds} seeds, a diverged run counting as the worst; band: {band}, where none diverged"
