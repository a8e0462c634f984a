"""A convolution as slices of its input and one matrix product.

The slices of the input at the positions of the kernel are the columns of a matrix ("im2col"). Its product with the
kernel is the convolution. `jax.grad` turns a convolution into two others:

- The gradient with respect to the kernel has few outputs and a large window. Its slices are taken at the positions of
  the output. They are the columns of the matrix of the convolution itself, so XLA computes them once for both.
- The gradient of a convolution with stride s with respect to its input has an input with s - 1 zeros between its
  elements. The s outputs for each element are computed together, each with its own part of the kernel, so the zeros are
  not multiplied.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from gdlab.types import Array

# Labels of axes: group, example, input feature, output feature; then for each spatial axis one of the position of the
# window, of the position in the window, and of the phase: which of the outputs for an element of a dilated input.
GROUP, EXAMPLE, INPUT, OUTPUT = "gnio"
AT, WITHIN, PHASE = "abc", "uvw", "xyz"
MAX_AXES = len(AT)


class Axis(NamedTuple):
    """A spatial axis: sizes of the input and of the window, and the parameters of the convolution."""

    size: int
    window: int
    stride: int
    padding: tuple[int, int]
    dilation: int  # of the input
    spread: int  # dilation of the window

    @property
    def outputs(self) -> int:
        """The number of positions of the window."""
        padded = sum(self.padding) + (self.size - 1) * self.dilation + 1
        return max(0, (padded - (self.window - 1) * self.spread - 1) // self.stride + 1)

    @property
    def phases(self) -> int:
        """The number of outputs for an element of the input, if all of them can be computed together, else 1."""
        return self.dilation if self.stride == self.spread == 1 else 1


class Cut(NamedTuple):
    """How slices are cut from an axis of the input."""

    before: int  # zeros before the first element; negative: elements that are left out
    dilation: int  # distance of the elements, with zeros between them
    number: int  # of slices
    apart: int  # distance of their starts
    length: int  # elements of a slice
    step: int  # distance of these elements


def spatial_axes(lhs: Any, rhs: Any, params: Mapping[str, Any]) -> list[Axis]:
    """The spatial axes of a convolution with the parameters of its primitive."""
    numbers = params["dimension_numbers"]
    sizes = [lhs.shape[axis] for axis in numbers.lhs_spec[2:]]
    windows = [rhs.shape[axis] for axis in numbers.rhs_spec[2:]]
    names = ("window_strides", "padding", "lhs_dilation", "rhs_dilation")
    return [Axis(*values) for values in zip(sizes, windows, *(params[name] for name in names), strict=True)]


def slice_count(axes: Sequence[Axis]) -> int:
    """The number of slices in the product of a convolution."""
    return min(math.prod(-(-axis.window // axis.phases) for axis in axes), math.prod(axis.outputs for axis in axes))


def matrix_size(lhs: Any, axes: Sequence[Axis], params: Mapping[str, Any]) -> int:
    """The number of elements of the matrix of slices."""
    batch, features, *_ = (lhs.shape[axis] for axis in params["dimension_numbers"].lhs_spec)
    return (
        batch * features * math.prod(-(-axis.window // axis.phases) * -(-axis.outputs // axis.phases) for axis in axes)
    )


def convolution(lhs: Array, rhs: Array, params: Mapping[str, Any]) -> Array:
    """`lax.conv_general_dilated` up to rounding; at most `MAX_AXES` spatial axes, and no axis of size 0.

    Args:
        lhs, rhs: the input and the kernel.
        params: the parameters of the primitive.
    """
    numbers = params["dimension_numbers"]
    axes = spatial_axes(lhs, rhs, params)
    features, batches = params["feature_group_count"], params["batch_group_count"]
    groups = features * batches
    lhs, lhs_labels = _labelled(lhs, numbers.lhs_spec, (EXAMPLE, batches), (INPUT, features), AT)
    rhs, rhs_labels = _labelled(rhs, numbers.rhs_spec, (OUTPUT, groups), (INPUT, 1), WITHIN)
    few = math.prod(axis.outputs for axis in axes) < math.prod(axis.window for axis in axes)
    out, labels = (_by_outputs if few else _by_window)(lhs, lhs_labels, rhs, rhs_labels, axes, params)
    order = [""] * len(numbers.out_spec)
    for axis, label in zip(numbers.out_spec, (EXAMPLE, (GROUP if groups > 1 else "") + OUTPUT, *AT), strict=False):
        order[axis] = label
    out = out.transpose([labels.index(label) for label in "".join(order)])
    sizes = iter(out.shape)
    return out.reshape([math.prod(next(sizes) for _ in label) for label in order])


def _labelled(
    array: Array, spec: Sequence[int], first: tuple[str, int], second: tuple[str, int], spatial: str
) -> tuple[Array, str]:
    """The array with its groups as an axis, and a label for each of its axes.

    `first`, `second`: the label and the number of groups of the first two axes of `spec`.
    """
    labels, shape = "", []
    for axis, size in enumerate(array.shape):
        place = spec.index(axis)
        label, groups = (first, second)[place] if place < 2 else (spatial[place - 2], 1)
        labels += GROUP + label if groups > 1 else label
        shape += [groups, size // groups] if groups > 1 else [size]
    return array.reshape(shape), labels


def _by_window(
    lhs: Array, lhs_labels: str, rhs: Array, rhs_labels: str, axes: Sequence[Axis], params: Mapping[str, Any]
) -> tuple[Array, str]:
    """The product of the slices at the positions of the window."""
    cuts, starts = [], []
    for axis in axes:
        low, s = axis.padding[0], axis.phases
        if s == 1:
            cuts.append(Cut(low, axis.dilation, axis.window, axis.spread, axis.outputs, axis.stride))
            starts.append(0)
            continue
        # Output low + s (m - 1) + 1 + phase is the sum over i of kernel[s i + s - 1 - phase] * lhs[m + i].
        first, last = (-low - 1) // s + 1, (axis.outputs - low - 2) // s + 1
        cuts.append(Cut(-first, 1, -(-axis.window // s), 1, last - first + 1, 1))
        starts.append(-low - s * (first - 1) - 1)
    slices = _sliced(lhs, lhs_labels, cuts, INPUT)
    matrix, matrix_labels = _matrix(rhs, rhs_labels, axes)
    rest = lhs_labels.replace(INPUT, "").replace(GROUP, "")
    new = matrix_labels.replace(INPUT, "").replace(GROUP, "")
    labels = (GROUP if GROUP in lhs_labels else "") + rest + new
    out = _product(slices, lhs_labels, matrix, matrix_labels, labels, params)
    for i, axis in enumerate(axes):
        if axis.phases > 1:
            # Each position is followed by its phases.
            order = labels.replace(PHASE[i], "").replace(AT[i], AT[i] + PHASE[i])
            out = out.transpose([labels.index(label) for label in order])
            place = order.index(AT[i])
            out = out.reshape(*out.shape[:place], -1, *out.shape[place + 2 :])
            out = lax.slice_in_dim(out, starts[i], starts[i] + axis.outputs, axis=place)
            labels = order.replace(PHASE[i], "")
    return out, labels


def _matrix(rhs: Array, labels: str, axes: Sequence[Axis]) -> tuple[Array, str]:
    """The kernel with one axis for its positions and its input features together, and an axis for each phase."""
    for i, axis in enumerate(axes):
        if axis.phases > 1:
            place, s = labels.index(WITHIN[i]), axis.dilation
            padding = [(0, 0, 0)] * rhs.ndim
            padding[place] = (0, -axis.window % s, 0)
            rhs = lax.pad(rhs, jnp.zeros((), rhs.dtype), padding)
            rhs = rhs.reshape(*rhs.shape[:place], -1, s, *rhs.shape[place + 1 :])
            rhs = lax.rev(rhs, (place + 1,))
            labels = labels.replace(WITHIN[i], WITHIN[i] + PHASE[i])
    joined = WITHIN[: len(axes)] + INPUT
    phases = "".join(PHASE[i] for i, axis in enumerate(axes) if axis.phases > 1)
    others = "".join(label for label in labels if label not in joined + phases)
    others = others.replace(OUTPUT, phases + OUTPUT)
    rhs = rhs.transpose([labels.index(label) for label in joined + others])
    return rhs.reshape(-1, *rhs.shape[len(joined) :]), INPUT + others


def _by_outputs(
    lhs: Array, lhs_labels: str, rhs: Array, rhs_labels: str, axes: Sequence[Axis], params: Mapping[str, Any]
) -> tuple[Array, str]:
    """The product of the slices at the positions of the output."""
    cuts = [Cut(a.padding[0], a.dilation, a.outputs, a.stride, a.window, a.spread) for a in axes]
    slices = _sliced(lhs, lhs_labels, cuts, EXAMPLE)
    lhs_labels = lhs_labels.translate(str.maketrans(AT, WITHIN))
    group = GROUP if GROUP in lhs_labels else ""
    # The kernel comes first: it is smaller, and XLA transposes the first factor.
    out = _product(rhs, rhs_labels, slices, lhs_labels, group + OUTPUT + EXAMPLE, params)
    out = out.reshape(*out.shape[:-1], *(axis.outputs for axis in axes), -1)
    return out, group + OUTPUT + AT[: len(axes)] + EXAMPLE


def _sliced(array: Array, labels: str, cuts: Sequence[Cut], joined: str) -> Array:
    """Slices of the input, concatenated along the axis with the label `joined`; `cuts`: one for each spatial axis."""
    where = [labels.index(label) for label in AT[: len(cuts)]]
    padding = [(0, 0, 0)] * array.ndim
    for axis, cut in zip(where, cuts, strict=True):
        used = (cut.number - 1) * cut.apart + (cut.length - 1) * cut.step + 1
        padded = cut.before + (array.shape[axis] - 1) * cut.dilation + 1
        padding[axis] = (cut.before, used - padded, cut.dilation - 1)
    array = lax.pad(array, jnp.zeros((), array.dtype), padding)
    parts = []
    for place in itertools.product(*(range(cut.number) for cut in cuts)):
        start, stop, stride = [0] * array.ndim, list(array.shape), [1] * array.ndim
        for axis, i, cut in zip(where, place, cuts, strict=True):
            start[axis], stride[axis] = i * cut.apart, cut.step
            stop[axis] = start[axis] + (cut.length - 1) * cut.step + 1
        parts.append(lax.slice(array, start, stop, stride))
    return lax.concatenate(parts, labels.index(joined))


def _product(lhs: Array, left: str, rhs: Array, right: str, out: str, params: Mapping[str, Any]) -> Array:
    """The product with the labels `out`, summed over the labels that are missing in it."""
    summed = "".join(label for label in left if label not in out)
    if len(summed) > 1 and summed in left and summed in right:
        # As one axis: XLA transposes the factors of a sum over several axes.
        lhs, left = _joined(lhs, left, summed)
        rhs, right = _joined(rhs, right, summed)
    return jnp.einsum(
        f"{left},{right}->{out}",
        lhs,
        rhs,
        precision=params["precision"],
        preferred_element_type=params["preferred_element_type"],
    )


def _joined(array: Array, labels: str, adjacent: str) -> tuple[Array, str]:
    """The array with some adjacent axes as one."""
    place = labels.index(adjacent)
    shape = (*array.shape[:place], -1, *array.shape[place + len(adjacent) :])
    return array.reshape(shape), labels.replace(adjacent, adjacent[0])
