"""Curves between points against formulas in NumPy."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdlab.landscape import on_curve
from tests.landscape.landscape_cases import network, vector

POINTS = [network(i, scale=10.0**i) for i in range(4)]


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.integers(2, 4), st.floats(0, 1, width=32))
def test_on_curve_equals_de_casteljau_and_linear_interpolation(count, t):
    rows = np.stack([vector(p) for p in POINTS[:count]])
    scale = np.abs(rows).max()
    levels = rows
    while len(levels) > 1:
        levels = (1 - t) * levels[:-1] + t * levels[1:]
    np.testing.assert_allclose(vector(on_curve(POINTS[:count], t)), levels[0], atol=1e-6 * scale)
    place = np.linspace(0, 1, count)
    expected = [np.interp(t, place, column) for column in rows.T]
    np.testing.assert_allclose(vector(on_curve(POINTS[:count], t, "polygon")), expected, atol=1e-6 * scale)


@pytest.mark.parametrize("curve", ["bezier", "polygon"])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_on_curve_ends_are_exact(curve, count):
    follow = jax.jit(jax.vmap(lambda t: on_curve(POINTS[:count], t, curve)))
    ends = follow(jnp.array([0.0, 1.0]))
    for i, params in ((0, POINTS[0]), (1, POINTS[count - 1])):
        np.testing.assert_array_equal(vector(jax.tree.map(lambda leaf, i=i: leaf[i], ends)), vector(params))


def test_on_curve_derivative_at_the_start():
    _, slope = jax.jvp(lambda t: on_curve(POINTS[:3], t), (0.0,), (1.0,))
    np.testing.assert_allclose(vector(slope), 2 * (vector(POINTS[1]) - vector(POINTS[0])), rtol=1e-5)
    assert math.isclose(float(on_curve([jnp.array(1.0), jnp.array(3.0)], 0.25)), 1.5)


def test_on_curve_refuses_invalid_arguments():
    with pytest.raises(ValueError, match="bezier, polygon"):
        on_curve(POINTS, 0.5, "spline")
    with pytest.raises(ValueError, match="two or more points, not 1"):
        on_curve(POINTS[:1], 0.5)
