"""What stands where there is no result, and in which dtype results are kept."""

from typing import Any

import jax
import numpy as np


def blank_array(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array of what stands where nothing was recorded: NaN, -1, or in unsigned dtypes 0."""
    if np.issubdtype(dtype, np.inexact):
        return np.full(shape, np.nan, dtype)
    return np.full(shape, -1 if np.issubdtype(dtype, np.signedinteger) else 0, dtype)


def on_host(dtype: Any) -> np.dtype:
    """The dtype of a result in NumPy: float32 for the halves that NumPy, xarray and zarr do not all know."""
    narrow = jax.numpy.issubdtype(dtype, np.floating) and dtype.itemsize < 4
    return np.dtype(np.float32) if narrow else np.dtype(dtype)
