"""Levels of a contour plot, evenly spaced in the loss or in its logarithm."""

from typing import Literal, NamedTuple

import numpy as np

from gdlab.errors import SelectionError


class Levels(NamedTuple):
    """Rising levels from the least to the greatest finite loss.

    Attributes:
        values: the levels.
        offset: a number just below the least loss; levels are evenly spaced in log(loss - offset), or in the loss if
            it is None.
    """

    values: np.ndarray
    offset: float | None


def levels(loss: np.ndarray, count: int, log: Literal["auto"] | bool = "auto") -> Levels:
    """`count` + 1 levels for the finite cells of a surface.

    Let h = loss - min. With "auto", the levels are logarithmic if max(h) is more than 100 times the 5% quantile of h
    over the cells (which is not the case for a round bowl). Logarithmic levels are evenly spaced in log(h + eps), where
    eps is the larger of the 1% quantile of h and max(h) / 10^6.

    Raises:
        SelectionError: `count` below 1.
    """
    if count < 1:
        raise SelectionError(f"a contour plot needs at least one step between levels, not {count}")
    finite = loss[np.isfinite(loss)].astype(float)
    if not len(finite):
        return Levels(np.array([0.0, 1.0]), None)
    low, high = float(finite.min()), float(finite.max())
    near, typical = np.quantile(finite, [0.01, 0.05]) - low
    values, offset = np.linspace(low, high, count + 1), None
    if high > low and (log is True or (log == "auto" and high - low > 100 * typical)):
        eps = max(float(near), 1e-6 * (high - low))
        values, offset = low - eps + np.geomspace(eps, high - low + eps, count + 1), low - eps
        values[[0, -1]] = low, high  # exact limits, so that rounding excludes no cell
    if (np.diff(values) > 0).all():
        return Levels(values, offset)
    # The surface is flat up to rounding: use a single step that contains every value.
    room = 0.5 * max(abs(low), abs(high)) or 0.5
    return Levels(np.array([low - room, high + room]), None)
