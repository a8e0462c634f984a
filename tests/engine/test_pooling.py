"""The gradient of max and min pooling equals XLA's."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from gdlab.engine.cpu_forms import on_platform
from gdlab.engine.pooling import GRADIENT
from tests.engine.conv_cases import equations

on_cpu = functools.partial(on_platform, "cpu")


def gradient_of(pool):
    """A function of an input and a cotangent."""
    return lambda x, cotangent: jax.vjp(pool, x)[1](cotangent)[0]


def pooling(largest, window, strides, padding):
    worst, reduce = (-jnp.inf, lax.max) if largest else (jnp.inf, lax.min)
    return lambda x: lax.reduce_window(x, worst, reduce, window, strides, padding)


def compare(pool, x):
    """Compares with whole numbers, so that the sums are exact; equal values in a window occur often."""
    cotangent = jnp.asarray(np.random.default_rng(1).integers(-5, 6, jax.eval_shape(pool, x).shape), x.dtype)
    gradient = gradient_of(pool)
    assert equations(jax.make_jaxpr(gradient)(x, cotangent), GRADIENT)
    assert equations(jax.make_jaxpr(on_cpu(gradient))(x, cotangent), GRADIENT) == []
    found = jax.jit(on_cpu(gradient))(x, cotangent)
    assert found.dtype == x.dtype
    np.testing.assert_array_equal(found, jax.jit(gradient)(x, cotangent))


def values(seed, shape, dtype="float32"):
    return jnp.asarray(np.random.default_rng(seed).integers(-3, 4, shape), dtype)


@settings(derandomize=True, deadline=None, max_examples=12)
@given(st.data())
def test_gradients_of_windows_of_any_kind(data):
    sizes, window, strides, padding = [2], [1], [1], [(0, 0)]
    for _ in range(data.draw(st.integers(1, 2))):
        width = data.draw(st.integers(1, 4))
        window.append(width)
        strides.append(data.draw(st.integers(1, 4)))
        sizes.append(data.draw(st.integers(width, 8)))
        padding.append(tuple(data.draw(st.integers(0, width - 1)) for _ in range(2)))
    pool = pooling(data.draw(st.booleans()), (*window, 1), (*strides, 1), (*padding, (0, 0)))
    compare(pool, values(data.draw(st.integers(0, 99)), (*sizes, 3)))


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("window", [(2, 2), (3, 3)])
def test_gradients_of_max_pooling_of_flax(dtype, window):
    with jax.enable_x64(dtype == "float64"):
        for layer in (linen.max_pool, nnx.max_pool):
            compare(lambda x, layer=layer: layer(x, window, (2, 2), padding="SAME"), values(0, (2, 7, 8, 3), dtype))


def test_the_gradient_goes_to_the_first_of_equal_values():
    pool = pooling(True, (1, 2), (1, 2), "VALID")
    x = jnp.array([[1.0, 1.0, 2.0, 3.0, -jnp.inf, -jnp.inf]])
    found = on_cpu(gradient_of(pool))(x, jnp.array([[5.0, 6.0, 7.0]]))
    np.testing.assert_array_equal(found, [[5.0, 0.0, 0.0, 6.0, 7.0, 0.0]])


def test_the_gradient_with_numbers_that_are_not_finite():
    pool = pooling(True, (1, 3), (1, 3), "VALID")
    x = jnp.array([[1.0, jnp.nan, 2.0, jnp.nan, 1.0, 2.0, 0.0, jnp.inf, 1.0]])
    compare(pool, x)


def test_runs_under_vmap_have_the_same_gradients():
    gradient = gradient_of(pooling(True, (1, 3, 3, 1), (1, 2, 2, 1), "SAME"))
    x, cotangent = values(0, (4, 2, 7, 7, 3)), values(1, (4, 2, 4, 4, 3))
    found = jax.jit(jax.vmap(on_cpu(gradient)))(x, cotangent)
    for i in range(4):
        np.testing.assert_array_equal(found[i], gradient(x[i], cotangent[i]))


@pytest.mark.parametrize("shape", [(0, 4, 4, 1), (2, 16, 16, 1)])
def test_an_empty_gradient_and_a_very_large_window_stay_as_they_are(shape):
    pool = pooling(True, (1, 4, 16 if shape[1] == 16 else 4, 1), (1, 4, 4, 1), "VALID")
    x = jnp.ones(shape)
    gradient = gradient_of(pool)
    assert len(equations(jax.make_jaxpr(on_cpu(gradient))(x, pool(x)), GRADIENT)) == 1
