"""Points on flats of any dimension, and the coordinates of points, against least squares in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdlab.landscape import Flat, Plane, at, nearest, point, project
from tests.landscape.landscape_cases import network, vector


def flat(count, seed=0):
    return Flat(network(seed), tuple(network(seed + 1 + i, scale=1.0 + i) for i in range(count)))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_point_is_the_affine_combination(count):
    here, a = flat(count), np.array([0.5, -2.0, 3.0])[:count]
    expected = vector(here.centre) + sum(x * vector(d) for x, d in zip(a, here.directions, strict=True))
    np.testing.assert_allclose(vector(point(here, jnp.asarray(a, jnp.float32))), expected, rtol=1e-5, atol=1e-6)


@settings(derandomize=True, deadline=None, max_examples=10)
@given(st.integers(1, 3), st.integers(0, 10**6))
def test_nearest_is_the_least_squares_solution(count, seed):
    here, params = flat(count, seed), network(seed + 100, scale=3.0)
    basis = np.stack([vector(d) for d in here.directions], axis=1)
    offset = vector(params) - vector(here.centre)
    solution = np.linalg.lstsq(basis, offset, rcond=None)[0]
    a, off = nearest(here, params)
    np.testing.assert_allclose(a, solution, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(off, np.linalg.norm(offset - basis @ solution), rtol=1e-4)


def test_nearest_with_dependent_directions_is_minimum_norm():
    line = flat(1)
    twice = Flat(line.centre, line.directions * 3)
    a, off = nearest(twice, point(line, [3.0]))
    np.testing.assert_allclose(a, [1, 1, 1], rtol=1e-4)
    assert off < 1e-4


def test_plane_equals_a_flat_of_two_directions():
    here = flat(2)
    plane = Plane(here.centre, *here.directions)
    assert all(map(np.array_equal, jax.tree.leaves(plane.flat), jax.tree.leaves(here)))
    np.testing.assert_array_equal(vector(at(plane, 0.3, -0.7)), vector(point(here, [0.3, -0.7])))
    a, off = nearest(here, network(50))
    np.testing.assert_array_equal(project(plane, network(50)), [*a, off])


def test_nearest_propagates_nan_directions():
    here = flat(2)
    lost = jax.tree.map(lambda x: x.at[0].set(jnp.nan), here.directions[0])
    a, off = nearest(Flat(here.centre, (lost, here.directions[1])), network(9))
    assert np.isnan(off)
    assert np.isnan(a).any()


def test_point_refuses_a_wrong_number_of_coordinates():
    with pytest.raises(ValueError, match="2 directions needs as many coordinates, not 3"):
        point(flat(2), [1.0, 2.0, 3.0])
