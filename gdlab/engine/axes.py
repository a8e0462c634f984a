"""Values for an axis of a sweep. Each function gives a plain array; any list or array serves as well."""

from typing import Literal

import numpy as np


def log(lo: float, hi: float, n: int) -> np.ndarray:
    """`n` values from `lo` to `hi`, both included, with a constant ratio between neighbours (both above 0)."""
    if not (lo > 0 and hi > 0):
        raise ValueError(f"a logarithmic axis needs ends above 0, not {lo} and {hi}")
    return np.geomspace(lo, hi, _count(n))


def linear(lo: float, hi: float, n: int) -> np.ndarray:
    """`n` values from `lo` to `hi`, both included, with a constant difference between neighbours."""
    return np.linspace(lo, hi, _count(n))


def random(lo: float, hi: float, n: int, *, scale: Literal["log", "linear"] = "log", seed: int = 0) -> np.ndarray:
    """`n` sorted values drawn from [lo, hi): uniform in the logarithm, or uniform; the same for the same `seed`."""
    if scale not in ("log", "linear"):
        raise ValueError(f"scale must be 'log' or 'linear', not {scale!r}")
    draws = np.sort(np.random.default_rng(seed).uniform(size=_count(n)))
    if scale == "linear":
        return lo + (hi - lo) * draws
    if not (lo > 0 and hi > 0):
        raise ValueError(f"a logarithmic axis needs ends above 0, not {lo} and {hi}")
    return lo * (hi / lo) ** draws


def _count(n: int) -> int:
    if n != int(n) or n < 1:
        raise ValueError(f"an axis needs at least one value, not {n}")
    return int(n)
