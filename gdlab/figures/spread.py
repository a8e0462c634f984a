"""Median and band over seeds."""

import warnings
from typing import NamedTuple

import numpy as np

# The minimum number of seeds for quantiles. With fewer seeds, the 10% and 90% quantiles are close to the extremes, so
# the band extends from the minimum to the maximum.
ENOUGH = 10


class Spread(NamedTuple):
    """The median over seeds and the limits of a band around it; diverged runs count as infinite in all three."""

    middle: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def bounded(self) -> np.ndarray:
        """Where both limits of the band are finite."""
        return np.isfinite(self.low) & np.isfinite(self.high)


def spread(values: np.ndarray, axis: int, absent: np.ndarray | None = None) -> Spread:
    """The median over the seeds, and a band around it.

    The band extends from the 10% to the 90% quantile, or from the minimum to the maximum with fewer than 10 seeds. A
    limit of the band is always the value of a run: a quantile between two runs is rounded outwards, because
    interpolation with an infinite value could give NaN.

    Args:
        values: one value for each run.
        axis: the axis of the seeds.
        absent: a boolean array that broadcasts to `values`; runs where it is True are left out.

    Returns:
        The median and the limits of the band. All three are NaN where a remaining run is NaN, or where no run remains.
    """
    share = 0.1 if values.shape[axis] >= ENOUGH else 0.0
    if absent is not None and absent.any():
        absent = np.broadcast_to(absent, values.shape)
        gap = (np.isnan(values) & ~absent).any(axis=axis)
        kept = np.where(absent, np.nan, values)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)  # NaN is intended if no run remains
            found = (
                np.nanmedian(kept, axis=axis),
                np.nanquantile(kept, share, axis=axis, method="lower"),
                np.nanquantile(kept, 1 - share, axis=axis, method="higher"),
            )
        return Spread(*(np.where(gap, np.nan, part) for part in found))
    return Spread(
        np.median(values, axis=axis),
        np.quantile(values, share, axis=axis, method="lower"),
        np.quantile(values, 1 - share, axis=axis, method="higher"),
    )


def described(seeds: int) -> str:
    """The sentence of the caption that explains line and band."""
    if seeds == 1:
        return ""
    band = "10–90% quantiles" if seeds >= ENOUGH else "least to greatest"
    return f"Line: median over {seeds} seeds, diverged runs count as the worst; band: {band}, where none diverged"
