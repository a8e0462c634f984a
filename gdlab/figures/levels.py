"""The levels of a contour plot, evenly spaced in the loss or in its logarithm."""

from typing import Literal, NamedTuple

import numpy as np

from gdlab.errors import SelectionError


class Levels(NamedTuple):
    """Rising levels, from the least finite loss to the greatest.

    Attributes:
        values: the levels.
        offset: they are evenly spaced in log(loss - offset), offset just below the least loss; None: in the loss.
    """

    values: np.ndarray
    offset: float | None


def levels(loss: np.ndarray, count: int, log: Literal["auto"] | bool = "auto") -> Levels:
    """Levels for the finite cells of a surface, `count` steps between them.

    "auto" is logarithmic if the height above the least loss, from its 5% quantile over the cells to the highest, spans
    more than two decades (that of a round bowl does not). In log(loss - min + eps), eps is the 1% quantile of the
    height, or a millionth of the whole, if that is more.

    Raises:
        SelectionError: fewer than one step.
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
        values[[0, -1]] = low, high  # not a rounding short of the cells at the ends
    if (np.diff(values) > 0).all():
        return Levels(values, offset)
    # Flat, or so nearly that the steps can't be told apart: one step, wide enough to hold every value.
    room = 0.5 * max(abs(low), abs(high)) or 0.5
    return Levels(np.array([low - room, high + room]), None)
