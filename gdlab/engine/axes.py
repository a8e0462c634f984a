"""Values for the axes of a sweep. Plain arrays and rows come out; any list or array serves as well."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, overload

import numpy as np

from gdlab.engine.axis_values import SpaceError

Scale: TypeAlias = Literal["log", "linear"]
Box: TypeAlias = Mapping[str, Sequence[Any]]
Rows: TypeAlias = dict[tuple[str, ...], list[tuple[float, ...]]]


def log(lo: float, hi: float, n: int) -> np.ndarray:
    """`n` values from `lo` to `hi`, both included, with a constant ratio between neighbours (both above 0)."""
    _above_zero(lo, hi)
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
    """Independent draws, uniform in the logarithm, or uniform; the same for the same `seed`.

    `random(lo, hi, n)` are `n` values of [lo, hi), sorted. `random({"lr": (1e-4, 1), "beta": (0.5, 1, "linear")}, n)`
    is a space of `n` points, whose axes move together. It serves alone, as a part of a chain, as the value of a tuple
    of names, or with more axes: `{**random(...), "seed": 8}`. Ends without a scale of their own have `scale`.

    Raises:
        SpaceError: no values, no axes, a scale that is none, a logarithm of what is not above 0.
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
    """The first `n` points of a scrambled Sobol sequence: as `random`, but evenly spread, best where n is a power of 2.

    More points of the same seed are the same points and others. Source: Sobol, 1967; scrambled as by Matousek, 1998.

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
    """Draws from the unit cube, brought between the ends: of one axis, or of each axis of a box."""
    if not isinstance(lo, Mapping):
        if hi is None or n is None:
            raise TypeError("an axis needs lo, hi and n")
        return np.sort(_between(draws(_count(n), 1)[:, 0], lo, hi, scale))
    count = _count(hi if n is None else n)
    if not lo:
        raise SpaceError("there are no axes to draw")
    for name, ends in lo.items():
        if isinstance(ends, str) or not isinstance(ends, Sequence) or len(ends) not in (2, 3):
            raise SpaceError(f"the axis {name!r} needs (lo, hi) or (lo, hi, scale), not {ends!r}")
    cube = draws(count, len(lo)).T
    columns = [_between(column, *(*ends, scale)[:3]) for column, ends in zip(cube, lo.values(), strict=True)]
    return {tuple(lo): list(zip(*(column.tolist() for column in columns), strict=True))}


def _between(draws: np.ndarray, lo: float, hi: float, scale: str) -> np.ndarray:
    if scale not in ("log", "linear"):
        raise SpaceError(f"scale must be 'log' or 'linear', not {scale!r}")
    if scale == "linear":
        return lo + (hi - lo) * draws
    _above_zero(lo, hi)
    return lo * (hi / lo) ** draws


def _above_zero(lo: float, hi: float) -> None:
    if not (lo > 0 and hi > 0):
        raise SpaceError(f"a logarithmic axis needs ends above 0, not {lo} and {hi}")


def _count(n: Any) -> int:
    if n is None or n != int(n) or n < 1:
        raise SpaceError(f"an axis needs at least one value, not {n}")
    return int(n)
