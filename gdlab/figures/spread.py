"""Median and band over seeds."""

import warnings
from typing import NamedTuple

import numpy as np

# With fewer seeds, these quantiles are nearly the extremes, so the band is from the least to the greatest value.
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
    """The median over an axis of seeds, with the band from the 10% to the 90% quantile, or, below 10 seeds, from the
    least to the greatest.

    A quantile that falls between two runs is the outer of them, so that infinity stays infinity. NaN makes NaN, except
    for runs that are `absent`, an array that broadcasts to `values`: they are left out.
    """
    share = 0.1 if values.shape[axis] >= ENOUGH else 0.0
    if absent is not None and absent.any():
        absent = np.broadcast_to(absent, values.shape)
        gap = (np.isnan(values) & ~absent).any(axis=axis)
        kept = np.where(absent, np.nan, values)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)  # no run at all: NaN is meant
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
