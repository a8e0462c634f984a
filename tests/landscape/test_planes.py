"""Points on a plane, and the coordinates of points, against least squares in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.landscape import Plane, at, coordinate_plane, cosine, project


def tree(rng, scale=1.0):
    return {
        "w": jnp.asarray(scale * rng.normal(size=(3, 4)), jnp.float32),
        "b": jnp.asarray(scale * rng.normal(size=4), jnp.float32),
    }


def flat(params):
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(params)])


@pytest.fixture
def plane():
    rng = np.random.default_rng(0)
    u = tree(rng, 5.0)
    oblique = jax.tree.map(lambda a, b: a + b, u, tree(rng, 2.0))
    return Plane(tree(rng), u, oblique)


def test_at_is_the_affine_combination(plane):
    expected = flat(plane.centre) + 0.5 * flat(plane.u) - 2 * flat(plane.v)
    np.testing.assert_allclose(flat(at(plane, 0.5, jnp.float32(-2))), expected, rtol=1e-5)


def test_project_inverts_at_for_oblique_directions(plane):
    assert abs(float(cosine(plane))) > 0.5
    a, b, off = project(plane, at(plane, 0.7, -1.3))
    np.testing.assert_allclose([a, b], [0.7, -1.3], rtol=1e-4)
    assert off < 1e-4


def test_project_is_the_least_squares_solution(plane):
    params = tree(np.random.default_rng(7), 3.0)
    basis = np.stack([flat(plane.u), flat(plane.v)], axis=1)
    (a, b), residual, *_ = np.linalg.lstsq(basis, flat(params) - flat(plane.centre), rcond=None)
    np.testing.assert_allclose(project(plane, params), [a, b, np.sqrt(residual[0])], rtol=1e-4)


def test_project_with_directions_of_unequal_lengths(plane):
    stretched = plane._replace(u=jax.tree.map(lambda x: 1e6 * x, plane.u), v=jax.tree.map(lambda x: 1e-6 * x, plane.v))
    a, b, _ = project(stretched, at(plane, 0.7, -1.3))
    np.testing.assert_allclose([a * 1e6, b * 1e-6], [0.7, -1.3], rtol=1e-3)


def test_project_with_parallel_or_zero_directions(plane):
    parallel = plane._replace(v=jax.tree.map(lambda x: -2 * x, plane.u))
    a, b, off = project(parallel, at(parallel, 3.0, 0.0))
    np.testing.assert_allclose(a - 2 * b, 3.0, rtol=1e-4)
    np.testing.assert_allclose(a, -2 * b, rtol=1e-4)
    assert off < 1e-3
    empty = plane._replace(v=jax.tree.map(jnp.zeros_like, plane.v))
    a, b, off = project(empty, at(empty, 3.0, 5.0))
    np.testing.assert_allclose([a, b], [3.0, 0.0], rtol=1e-5)
    assert cosine(empty) == 0


def test_coordinate_plane_is_the_identity():
    plane = coordinate_plane()
    np.testing.assert_array_equal(at(plane, 1.5, -2.5), [1.5, -2.5])
    np.testing.assert_array_equal(project(plane, jnp.array([1.5, -2.5])), [1.5, -2.5, 0.0])


def test_at_keeps_dtypes_and_project_sums_in_float32():
    half = Plane(jnp.zeros(4096, jnp.bfloat16), jnp.ones(4096, jnp.bfloat16), jnp.zeros(4096, jnp.bfloat16))
    assert at(half, 0.5, 1.0).dtype == jnp.bfloat16
    a, _, off = project(half, jnp.full(4096, 2.0, jnp.bfloat16))
    assert (a, off) == (2.0, 0.0)
    assert a.dtype == jnp.float32


def test_planes_vmap_and_jit_equal_a_loop(plane):
    grid = jnp.linspace(-1, 1, 5)
    together = jax.jit(jax.vmap(lambda a: project(plane, at(plane, a, 2 * a))))(grid)
    alone = [project(plane, at(plane, a, 2 * a)) for a in grid]
    np.testing.assert_allclose(np.stack(together, axis=1), np.stack(alone), atol=1e-4)


def test_project_gradients_are_correct_and_finite(plane):
    # d(a, b)/d params is the pseudo-inverse of [u v].
    basis = np.stack([flat(plane.u), flat(plane.v)], axis=1)
    gradient = jax.grad(lambda params: project(plane, params)[0])(plane.centre)
    np.testing.assert_allclose(flat(gradient), np.linalg.pinv(basis)[0], atol=1e-5)
    on_plane = jax.grad(lambda params: project(plane, params)[2])(plane.centre)
    np.testing.assert_array_equal(flat(on_plane), 0)


def test_planes_keep_float64(x64):
    plane = Plane(jnp.zeros(3), jnp.array([1.0, 1.0, 0.0]), jnp.array([1.0, 1.0, 1e-3]))
    a, b, off = project(plane, at(plane, 0.1, 0.2))
    assert a.dtype == jnp.float64
    np.testing.assert_allclose([a, b], [0.1, 0.2], rtol=1e-8)
    assert off < 1e-9
