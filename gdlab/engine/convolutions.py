"""The forms in which XLA computes convolutions fastest on a CPU.

XLA's fast convolution on a CPU has two limits. It has no groups in the gradient with respect to the kernel, and vmap
makes a convolution with groups of a convolution with one kernel per run. And it needs a certain order of the axes;
inside a loop, where the engine advances its runs, XLA (jaxlib 0.10 to 0.12) does not bring the axes into this order and
computes the gradient with respect to a kernel up to 100 times as slowly. So each convolution gets one of two forms:

- a small one: slices and a matrix product (`gdlab.engine.conv_products`); of products, vmap makes a batch of products;
- a larger one: a convolution with the axes in XLA's order; under vmap, for one run after another.

Measured on an AMD EPYC core in float32: the time per run and step of a network of two 3x3 convolutions with all
convolutions in the second form, divided by the time with all in the first form (the best of 1, 2 and 4 runs at a time),
by the size of the largest matrix of slices:

    MB      0.04   0.15       0.3        0.9   1.2   2.4
    ratio    3.2    1.8   1.2 and 2.0    1.3   1.2   0.9

A network of two convolutions (16 and 32 features, 28x28 images) with max pooling takes 1/27 of the time it takes
without these forms and the one of `gdlab.engine.pooling`.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gdlab.engine.conv_products import MAX_AXES, convolution, matrix_size, slice_count, spatial_axes

CONVOLUTION = "conv_general_dilated"
# Elements of the matrix of slices up to which a product is faster. In float32 this is about the size of a core's
# second-level cache; in float64 XLA's convolutions are slower.
PRODUCT = 2**18
# The same for convolutions that XLA's fast code does not compute at all: the gradients with respect to the kernels of
# convolutions with groups. A larger matrix takes too much memory.
WITHOUT_FAST_CODE = 2**24
# Each slice is an operation of the program, which takes time to compile.
MOST_SLICES = 64


def becomes_product(eqn: Any) -> bool:
    """Whether an equation of a jaxpr is a convolution that is faster as a product."""
    if not _is_convolution(eqn):
        return False
    lhs, rhs = (var.aval for var in eqn.invars)
    axes = spatial_axes(lhs, rhs, eqn.params)
    most = PRODUCT if eqn.params["batch_group_count"] == 1 else WITHOUT_FAST_CODE
    return slice_count(axes) <= MOST_SLICES and matrix_size(lhs, axes, eqn.params) <= most


def faster(eqn: Any) -> Callable[..., Any] | None:
    """The function that computes a convolution in its faster form; None for other equations of a jaxpr."""
    if not _is_convolution(eqn):
        return None
    form = convolution if becomes_product(eqn) else _in_order
    return functools.partial(form, params=eqn.params)


def _is_convolution(eqn: Any) -> bool:
    """Whether it is a convolution of floating-point numbers without an empty axis."""
    if eqn.primitive.name != CONVOLUTION:
        return False
    lhs, rhs, out = (var.aval for var in (*eqn.invars, *eqn.outvars))
    empty = math.prod((*lhs.shape, *rhs.shape, *out.shape)) == 0
    return jnp.issubdtype(lhs.dtype, jnp.inexact) and not empty and 3 <= len(lhs.shape) <= 2 + MAX_AXES


def _in_order(lhs: Any, rhs: Any, params: Any) -> Any:
    """The convolution with the axes in XLA's order: examples, positions, features."""
    numbers = params["dimension_numbers"]
    last, spatial = lhs.ndim - 1, tuple(range(1, lhs.ndim - 1))
    batch, features, *where = numbers.lhs_spec
    outputs, inputs, *window = numbers.rhs_spec
    order = lax.ConvDimensionNumbers((0, last, *spatial), (last, last - 1, *range(last - 1)), (0, last, *spatial))
    given = params | {"dimension_numbers": order}
    lhs = lhs.transpose(batch, *where, features)
    if any(min(pads) < 0 for pads in params["padding"]):
        # With negative padding, XLA (jaxlib 0.10) reads beyond the end of the input.
        cut = [(min(low, 0), min(high, 0)) for low, high in params["padding"]]
        inside = [(low, high, d - 1) for (low, high), d in zip(cut, params["lhs_dilation"], strict=True)]
        lhs = lax.pad(lhs, jnp.zeros((), lhs.dtype), [(0, 0, 0), *inside, (0, 0, 0)])
        given["padding"] = tuple((max(low, 0), max(high, 0)) for low, high in params["padding"])
        given["lhs_dilation"] = (1,) * len(spatial)

    @jax.custom_batching.sequential_vmap
    def convolved(lhs: Any, rhs: Any) -> Any:
        return lax.conv_general_dilated(lhs, rhs, **{name: given[name] for name in _ARGUMENTS})

    out = convolved(lhs, rhs.transpose(*window, inputs, outputs))
    batch, features, *where = numbers.out_spec
    return out.transpose(np.argsort([batch, *where, features]))


_ARGUMENTS = (
    "window_strides",
    "padding",
    "lhs_dilation",
    "rhs_dilation",
    "dimension_numbers",
    "feature_group_count",
    "batch_group_count",
    "precision",
    "preferred_element_type",
)
