"""Values for the axes of a sweep. The functions return arrays or rows; any list or array can be used instead."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, overload

import numpy as np

from gdlab.engine.axis_values import SpaceError

Scale: TypeAlias = Literal["log", "linear"]
Box: TypeAlias = Mapping[str, Sequence[Any]]
Rows: TypeAlias = dict[tuple[str, ...], list[tuple[float, ...]]]


def log(lo: float, hi: float, n: int) -> np.ndarray:
    """`n` values from `lo` to `hi`, both included, with a constant ratio between neighbours; `lo` and `hi` above 0."""
    _refuse_nonpositive(lo, hi)
    return np.geomspace(lo, hi, _count(n))


def linear(lo: float, hi: float, n: int) -> np.ndarray:
    """`n` values from `lo` to `hi`, both included, with a constant difference between neighbours."""
    return np.linspace(lo, hi, _count(n))


@overload
def random(lo: float, hi: float, n: int, *, scale: Scale = "log", seed: int = 0) -> np.ndarray: ...
@overload
def random(lo: Box, n: int, /, *, scale: Scale = "log", seed: int = 0) -> Rows: ...
@overload
def random(lo: Box, /, *, n: int, scale: Scale = "log", seed: int = 0) -> Rows: ...
def random(
    lo: float | Box, hi: float | None = None, n: int | None = None, *, scale: Scale = "log", seed: int = 0
) -> np.ndarray | Rows:
    """Independent draws, uniform in the logarithm or on a linear scale; the same draws for the same `seed`.

    `random(lo, hi, n)` returns `n` sorted values of [lo, hi). Given a mapping of ranges instead,
    `random({"lr": (1e-4, 1), "beta": (0.5, 1, "linear")}, n)` returns a space of `n` points, whose axes are zipped. Use
    it alone, as a part of a chain, as the value of a tuple of names, or with further axes:
    `{**random(...), "seed": 8}`. A range that does not name a scale uses `scale`.

    Raises:
        SpaceError: no values, no axes, an unknown scale, or a logarithmic range that is not above 0.
    """
    return _drawn(lambda count, dims: np.random.default_rng(seed).uniform(size=(count, dims)), lo, hi, n, scale)


@overload
def sobol(lo: float, hi: float, n: int, *, scale: Scale = "log", seed: int = 0) -> np.ndarray: ...
@overload
def sobol(lo: Box, n: int, /, *, scale: Scale = "log", seed: int = 0) -> Rows: ...
@overload
def sobol(lo: Box, /, *, n: int, scale: Scale = "log", seed: int = 0) -> Rows: ...
def sobol(
    lo: float | Box, hi: float | None = None, n: int | None = None, *, scale: Scale = "log", seed: int = 0
) -> np.ndarray | Rows:
    """The first `n` points of a scrambled Sobol sequence: like `random`, but evenly spread, best if n is a power of 2.

    A larger `n` with the same seed extends the sequence. Source: Sobol, 1967; scrambled as in Matousek, 1998.

    Raises:
        SpaceError: as `random`.
    """

    def draws(count: int, dims: int) -> np.ndarray:
        from scipy.stats import qmc

        sequence = qmc.Sobol(dims, seed=np.random.default_rng(seed))
        return sequence.random_base2((count - 1).bit_length())[:count]

    return _drawn(draws, lo, hi, n, scale)


def _drawn(
    draws: Callable[[int, int], np.ndarray], lo: float | Box, hi: float | None, n: int | None, scale: Scale
) -> np.ndarray | Rows:
    """Draws from the unit cube, scaled to the range of one axis or of each axis of a box."""
    if not isinstance(lo, Mapping):
        if hi is None or n is None:
            raise TypeError("an axis needs lo, hi and n")
        return np.sort(_scaled(draws(_count(n), 1)[:, 0], lo, hi, scale))
    count = _count(hi if n is None else n)
    if not lo:
        raise SpaceError("the mapping of axes to ranges is empty")
    for name, ends in lo.items():
        if isinstance(ends, str) or not isinstance(ends, Sequence) or len(ends) not in (2, 3):
            raise SpaceError(f"the axis {name!r} needs (lo, hi) or (lo, hi, scale), not {ends!r}")
    cube = draws(count, len(lo)).T
    columns = [_scaled(column, *(*ends, scale)[:3]) for column, ends in zip(cube, lo.values(), strict=True)]
    return {tuple(lo): list(zip(*(column.tolist() for column in columns), strict=True))}


def _scaled(draws: np.ndarray, lo: float, hi: float, scale: str) -> np.ndarray:
    if scale not in ("log", "linear"):
        raise SpaceError(f"scale must be 'log' or 'linear', not {scale!r}")
    if scale == "linear":
        return lo + (hi - lo) * draws
    _refuse_nonpositive(lo, hi)
    return lo * (hi / lo) ** draws


def _refuse_nonpositive(lo: float, hi: float) -> None:
    if not (lo > 0 and hi > 0):
        raise SpaceError(f"a logarithmic axis needs lo and hi above 0, not {lo} and {hi}")


def _count(n: Any) -> int:
    if n is None or n != int(n) or n < 1:
        raise SpaceError(f"an axis needs at least one value, not {n}")
    return int(n)
