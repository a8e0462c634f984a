"""Fill values of missing results, and the dtypes in which results are stored."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def fill_dtype(dtype: Any) -> np.dtype:
    """The dtype that holds the values of `dtype` and their fill value.

    Floating-point, complex and signed dtypes stay as they are. Booleans and unsigned integers become the smallest
    signed dtype of at least 32 bits that holds them; uint64 becomes float64, since no signed integer holds it.
    """
    dtype = np.dtype(dtype)
    if _is_inexact(dtype) or np.issubdtype(dtype, np.signedinteger):
        return dtype
    return np.result_type(dtype, np.int32)


def fill_value(dtype: Any) -> np.generic:
    """The value that marks a missing result, in `fill_dtype(dtype)`: NaN for inexact dtypes, -1 for all others."""
    return fill_dtype(dtype).type(np.nan if _is_inexact(dtype) else -1)


def fill_array(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array of fill values, in `fill_dtype(dtype)`."""
    return np.full(shape, fill_value(dtype))


def fill_missing(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """The values, with the fill value where `present` is false; `present` has the leading axes of `values`.

    The dtype changes only if a value is missing.
    """
    if present.all():
        return values
    present = present.reshape(*present.shape, *(1,) * (values.ndim - present.ndim))
    return np.where(present, values.astype(fill_dtype(values.dtype)), fill_value(values.dtype))


def fill_unless(present: Any, values: Any) -> jax.Array:
    """In a traced program: the values, or the fill value where `present` is false, in `fill_dtype(values.dtype)`.

    `present` has the leading axes of `values`.

    Raises:
        TypeError: the fill value needs float64, and JAX computes in single precision.
    """
    dtype = fill_dtype(values.dtype)
    if jax.dtypes.canonicalize_dtype(dtype) != dtype:
        raise TypeError(f"a {values.dtype} result needs float64 precision for its fill value; return int32 or float32")
    present = present.reshape(*present.shape, *(1,) * (values.ndim - present.ndim))
    return jnp.where(present, values.astype(dtype), jnp.asarray(fill_value(values.dtype)))


def _is_inexact(dtype: Any) -> bool:
    return bool(jax.dtypes.issubdtype(dtype, np.inexact))  # `np.issubdtype` does not support bfloat16


def host_dtype(dtype: Any) -> np.dtype:
    """The dtype in which a result is kept: float32 for the 16-bit floats, which xarray and zarr do not all support."""
    narrow = jax.numpy.issubdtype(dtype, np.floating) and dtype.itemsize < 4
    return np.dtype(np.float32) if narrow else np.dtype(dtype)
