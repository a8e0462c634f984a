"""Convolutions as matrix products equal XLA's convolutions, with the same gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from gdlab.engine import convolutions as convolutions_module
from gdlab.engine.conv_products import convolution
from gdlab.engine.convolutions import CONVOLUTION
from gdlab.engine.rewriting import rewritten
from tests.engine.conv_cases import convolution_equations, equations, multiplications

RUNS = 3


def as_products(fn):
    """The function with a product in place of each convolution, however large."""

    def replacement(eqn):
        return functools.partial(convolution, params=eqn.params) if eqn.primitive.name == CONVOLUTION else None

    return rewritten(fn, replacement)


@st.composite
def convolutions(draw, axes):
    """The shapes of an input and a kernel, and the parameters of their convolution; no size is 0."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    batches = draw(st.booleans())
    n, c, o = (draw(st.integers(1, 3)) for _ in range(3))
    examples, features = (n * groups, c) if batches else (n, c * groups)
    sizes, windows, strides, pads, dilations, spreads = [], [], [], [], [], []
    for _ in range(axes):
        size, window, low, high = (draw(st.integers(*between)) for between in ((1, 7), (1, 5), (-2, 3), (-2, 3)))
        dilation, spread = (draw(st.sampled_from([1, 1, 2, 3])) for _ in range(2))
        padded = (size - 1) * dilation + 1 + low + high
        high += max(0, (window - 1) * spread + 1 - padded)  # at least one output
        sizes.append(size), windows.append(window), strides.append(draw(st.integers(1, 3)))
        pads.append((low, high)), dilations.append(dilation), spreads.append(spread)
    specs = [tuple(draw(st.permutations(range(axes + 2)))) for _ in range(3)]

    def ordered(spec, values):
        return tuple(value for _, value in sorted(zip(spec, values, strict=True)))

    lhs, rhs = ordered(specs[0], (examples, features, *sizes)), ordered(specs[1], (o * groups, c, *windows))
    given = {
        "window_strides": strides,
        "padding": pads,
        "lhs_dilation": dilations,
        "rhs_dilation": spreads,
        "dimension_numbers": lax.ConvDimensionNumbers(*specs),
        "batch_group_count" if batches else "feature_group_count": groups,
    }
    return lhs, rhs, given


def whole_numbers(seed, shape, dtype):
    """Small integers, so that every sum of products is exact in any order."""
    return jnp.asarray(np.random.default_rng(seed).integers(-4, 5, shape), dtype)


def with_gradients(params, lhs, rhs):
    """A function of an input, a kernel and a cotangent: the convolution and both its gradients."""

    def convolved(lhs, rhs):
        return lax.conv_general_dilated(lhs, rhs, **params)

    def fn(lhs, rhs, cotangent):
        out, pull = jax.vjp(convolved, lhs, rhs)
        return out, *pull(cotangent)

    return fn, jax.eval_shape(convolved, lhs, rhs).shape


@pytest.mark.parametrize(
    ("axes", "dtype", "shared"),
    [
        (1, "float32", ""),
        (2, "float32", ""),
        (2, "float64", ""),
        (3, "float32", ""),
        (2, "float32", "input"),
        (2, "float32", "kernel"),
    ],
)
def test_products_and_their_gradients_follow_the_definition(axes, dtype, shared):
    @settings(derandomize=True, deadline=None, max_examples=12)
    @given(convolutions(axes), st.integers(0, 99))
    def check(case, seed):
        compare(case, seed, dtype, shared)

    with jax.enable_x64(dtype == "float64"):
        check()


@pytest.mark.slow
@pytest.mark.parametrize("axes", [1, 2])
def test_many_products_and_their_gradients_follow_the_definition(axes):
    @settings(derandomize=True, deadline=None, max_examples=200)
    @given(convolutions(axes), st.integers(0, 99))
    def check(case, seed):
        compare(case, seed, "float32", "")

    check()


def by_definition(params, lhs, rhs, cotangent):
    """The convolution and its gradients, as sums over the positions of the kernel, in NumPy.

    XLA is no reference: with negative padding its convolution (jaxlib 0.10) reads beyond the end of the input.
    """
    specs = params["dimension_numbers"]
    lhs, rhs, cotangent = (
        np.transpose(np.asarray(array, float), spec) for array, spec in zip((lhs, rhs, cotangent), specs, strict=True)
    )
    groups = params.get("feature_group_count", 1) * params.get("batch_group_count", 1)
    split = 0 if "batch_group_count" in params else 1  # the axis of the input with the groups
    padded = dilated_and_padded(lhs, params)
    out, d_padded, d_rhs = np.zeros(cotangent.shape), np.zeros(padded.shape), np.zeros(rhs.shape)
    for group in range(groups):
        of_input, of_output = [slice(None)] * lhs.ndim, [slice(None)] * lhs.ndim
        of_input[split], of_output[1] = share(group, groups, lhs.shape[split]), share(group, groups, rhs.shape[0])
        x, dx = (array[tuple(of_input)] for array in (padded, d_padded))
        y, g = (array[tuple(of_output)] for array in (out, cotangent))
        w, dw = (array[of_output[1]] for array in (rhs, d_rhs))
        for place in np.ndindex(*rhs.shape[2:]):
            seen = [
                slice(i * spread, i * spread + (count - 1) * stride + 1, stride)
                for i, spread, count, stride in zip(
                    place, params["rhs_dilation"], out.shape[2:], params["window_strides"], strict=True
                )
            ]
            here, k = (slice(None), slice(None), *seen), (slice(None), slice(None), *place)
            y += np.einsum("nc...,oc->no...", x[here], w[k])
            dx[here] += np.einsum("no...,oc->nc...", g, w[k])
            flat = (array.reshape(*array.shape[:2], -1) for array in (x[here], g))
            dw[k] += np.einsum("ncp,nop->oc", *flat)
    # The map from the input to the padded input is linear, and each element has at most one place.
    numbered = dilated_and_padded(np.arange(1, lhs.size + 1, dtype=float).reshape(lhs.shape), params).astype(int)
    d_lhs = np.zeros(lhs.size + 1)
    d_lhs[numbered] = d_padded
    results = out, d_lhs[1:].reshape(lhs.shape), d_rhs
    return [np.transpose(r, np.argsort(spec)) for r, spec in zip(results, (specs[2], specs[0], specs[1]), strict=True)]


def share(group, groups, size):
    return slice(group * size // groups, (group + 1) * size // groups)


def dilated_and_padded(lhs, params):
    """Examples, features, positions: zeros between the elements, then zeros around them or elements left out."""
    for axis, ((low, high), dilation) in enumerate(zip(params["padding"], params["lhs_dilation"], strict=True), 2):
        moved = np.moveaxis(lhs, axis, 0)
        inside = np.zeros(((len(moved) - 1) * dilation + 1, *moved.shape[1:]))
        inside[::dilation] = moved
        around = [(max(low, 0), max(high, 0))] + [(0, 0)] * (lhs.ndim - 1)
        padded = np.pad(inside, around)
        lhs = np.moveaxis(padded[max(-low, 0) : len(padded) - max(-high, 0)], 0, axis)
    return lhs


def compare(case, seed, dtype, shared):
    lhs, rhs, params = case
    lhs = whole_numbers(seed, lhs if shared == "input" else (RUNS, *lhs), dtype)
    rhs = whole_numbers(seed + 1, rhs if shared == "kernel" else (RUNS, *rhs), dtype)
    over = (None if shared == "input" else 0, None if shared == "kernel" else 0, 0)
    single = (lhs if shared == "input" else lhs[0], rhs if shared == "kernel" else rhs[0])
    fn, shape = with_gradients(params, *single)
    cotangent = whole_numbers(seed + 2, (RUNS, *shape), dtype)
    replaced = jax.vmap(as_products(fn), over)
    assert convolution_equations(jax.make_jaxpr(replaced)(lhs, rhs, cotangent)) == []
    found = jax.jit(replaced)(lhs, rhs, cotangent)
    for i in range(RUNS):
        one = (lhs if shared == "input" else lhs[i], rhs if shared == "kernel" else rhs[i], cotangent[i])
        for got, wanted in zip(found, by_definition(params, *one), strict=True):
            assert got.dtype == dtype
            np.testing.assert_array_equal(got[i], wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("stride", [1, 2])
def test_products_of_any_numbers_equal_those_of_xla_to_rounding(dtype, stride):
    with jax.enable_x64(dtype == "float64"):
        draw = np.random.default_rng(0)
        lhs, rhs = (jnp.asarray(draw.normal(size=shape), dtype) for shape in ((8, 9, 9, 5), (3, 3, 5, 7)))
        params = {"window_strides": (stride, stride), "padding": "SAME", "dimension_numbers": ("NHWC", "HWIO", "NHWC")}
        fn, shape = with_gradients(params, lhs, rhs)
        cotangent = jnp.asarray(draw.normal(size=shape), dtype)
        found = jax.jit(as_products(fn))(lhs, rhs, cotangent)
        for got, wanted in zip(found, fn(lhs, rhs, cotangent), strict=True):
            scale = np.sqrt(np.mean(np.square(wanted)))
            np.testing.assert_allclose(got, wanted, rtol=0, atol=30 * np.finfo(dtype).eps * scale)


def test_a_product_keeps_the_precision_and_the_type_of_the_result():
    def convolved(lhs, rhs):
        return lax.conv(lhs, rhs, (1, 1), "SAME", precision="highest", preferred_element_type=jnp.float32)

    lhs, rhs = jnp.ones((2, 3, 5, 5), jnp.bfloat16), jnp.ones((4, 3, 3, 3), jnp.bfloat16)
    closed = jax.make_jaxpr(as_products(convolved))(lhs, rhs)
    (product,) = equations(closed, "dot_general")
    assert product.params["precision"] == (lax.Precision.HIGHEST, lax.Precision.HIGHEST)
    assert product.params["preferred_element_type"] == product.outvars[0].aval.dtype == jnp.float32
    np.testing.assert_array_equal(as_products(convolved)(lhs, rhs), convolved(lhs, rhs))


def test_the_gradient_of_a_strided_convolution_multiplies_no_zeros():
    """The multiplications of the gradient with respect to the input: those of the convolution, for even windows."""

    def convolved(lhs, rhs):
        return lax.conv(lhs, rhs, (2, 2), "VALID")

    lhs, rhs = jnp.ones((2, 3, 8, 8)), jnp.ones((4, 3, 2, 2))
    backward = jax.linear_transpose(lambda lhs: convolved(lhs, rhs), lhs)
    out = convolved(lhs, rhs)
    (forward,) = equations(jax.make_jaxpr(as_products(convolved))(lhs, rhs), "dot_general")
    (product,) = equations(jax.make_jaxpr(as_products(backward))(out), "dot_general")
    assert multiplications(product) == multiplications(forward) == 2 * 4 * 4 * 4 * (3 * 2 * 2)


def test_a_large_convolution_with_negative_padding_follows_the_definition(monkeypatch):
    """XLA's own (jaxlib 0.10) reads beyond the end of the input."""
    monkeypatch.setattr(convolutions_module, "PRODUCT", 0)
    for padding, dilation in (((-1, 1), 1), ((1, -2), 1), ((-2, -1), 2)):
        params = {
            "window_strides": (1,),
            "padding": (padding,),
            "lhs_dilation": (dilation,),
            "rhs_dilation": (1,),
            "dimension_numbers": lax.ConvDimensionNumbers((0, 1, 2), (0, 1, 2), (0, 1, 2)),
        }
        lhs, rhs = whole_numbers(0, (2, 3, 6), "float32"), whole_numbers(1, (2, 3, 3), "float32")
        fn, shape = with_gradients(params, lhs, rhs)
        cotangent = whole_numbers(2, shape, "float32")
        large = rewritten(fn, convolutions_module.faster)
        assert len(convolution_equations(jax.make_jaxpr(large)(lhs, rhs, cotangent))) == 3
        for got, wanted in zip(
            jax.jit(large)(lhs, rhs, cotangent), by_definition(params, lhs, rhs, cotangent), strict=True
        ):
            np.testing.assert_array_equal(got, wanted)
