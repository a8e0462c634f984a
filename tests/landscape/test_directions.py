"""Scaling of directions, and the planes that they span."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdlab.landscape import (
    between,
    coordinate_plane,
    cosine,
    eigen_plane,
    gradient_direction,
    normalised,
    plane_of,
    project,
    random_direction,
    random_plane,
    report,
    triangle_plane,
    unit,
)
from tests.landscape.landscape_cases import network, vector

KEY = jax.random.key(0)
W, D = network(0, scale=2.0), network(1, scale=0.3)


def length(*leaves, axis=None):
    if axis is not None:
        return np.linalg.norm(np.asarray(leaves[0], np.float64), axis=axis)
    return np.linalg.norm(vector(leaves))


def by_layer(params):
    return params["layers"].values()


def test_normalised_filter_scales_to_the_weights():
    for d, w, raw in zip(*map(by_layer, (normalised(D, W), W, D)), strict=True):
        np.testing.assert_allclose(length(d["kernel"], axis=0), length(w["kernel"], axis=0), rtol=1e-5)
        np.testing.assert_array_equal(d["bias"], 0)
        ratio = np.asarray(d["kernel"]) / np.asarray(raw["kernel"])
        np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:1], ratio.shape), rtol=1e-5)
        assert ratio[0].std() > 0.1


@pytest.mark.parametrize("biases", [False, True])
def test_normalised_layer_and_tensor_parts(biases):
    for d, w, raw in zip(*map(by_layer, (normalised(D, W, "layer", biases=biases), W, D)), strict=True):
        moved = ("bias", "kernel") if biases else ("kernel",)
        assert length(*(d[n] for n in moved)) == pytest.approx(length(*(w[n] for n in moved)), rel=1e-5)
        ratios = np.concatenate([(np.asarray(d[n]) / np.asarray(raw[n])).ravel() for n in moved])
        np.testing.assert_allclose(ratios, ratios[0], rtol=1e-5)  # one factor for the whole layer
        assert biases or not np.asarray(d["bias"]).any()
    for d, w in zip(*map(by_layer, (normalised(D, W, "tensor", biases=biases), W)), strict=True):
        for name in ("bias", "kernel") if biases else ("kernel",):
            assert length(d[name]) == pytest.approx(length(w[name]), rel=1e-5)


def test_normalised_layer_treats_list_items_separately():
    w, d = [W["layers"][0]["kernel"], W["layers"][1]["kernel"]], [D["layers"][0]["kernel"], D["layers"][1]["kernel"]]
    for x, y in zip(normalised(d, w, "layer"), normalised(d, w, "tensor"), strict=True):
        np.testing.assert_array_equal(x, y)


def test_normalised_keeps_zero_parts_and_propagates_nan():
    w, d = jnp.ones((3, 4)).at[:, 1].set(0), jnp.ones((3, 4)).at[:, 2].set(0)
    np.testing.assert_allclose(normalised(d, w), np.ones((3, 4)) * [1, 0, 0, 1], rtol=1e-6)
    gradient = jax.grad(lambda w: normalised(d, w).sum())(w)
    assert np.isfinite(gradient).all()
    lost = np.asarray(normalised(d, w.at[0, 0].set(jnp.nan)))
    assert np.isnan(lost[:, 0]).all()
    assert np.isfinite(lost[:, 1:]).all()


def test_normalised_none_is_identity_and_dtypes_are_kept():
    assert normalised(D, W, "none") is D
    half = jax.tree.map(lambda x: x.astype(jnp.bfloat16), D)
    assert {x.dtype for x in jax.tree.leaves(normalised(half, half, "layer"))} == {jnp.dtype(jnp.bfloat16)}


def test_random_plane_consists_of_random_directions():
    first, second = jax.random.split(KEY)
    plane = random_plane(KEY, W, "layer", biases=True)
    for direction, key in ((plane.u, first), (plane.v, second)):
        np.testing.assert_array_equal(vector(direction), vector(random_direction(key, W, "layer", biases=True)))


def test_plane_of_orthogonalises_before_scaling():
    oblique = jax.tree.map(lambda x, y: x + 0.2 * y, D, network(3))
    plane = plane_of(W, D, oblique, orthogonalise=True)
    assert abs(float(cosine(plane))) < 1e-6
    u, v = vector(D), vector(oblique)
    np.testing.assert_allclose(vector(plane.v), v - u * (u @ v) / (u @ u), atol=1e-5)
    scaled = plane_of(W, D, oblique, orthogonalise=True, normalise="filter")
    for d, w in zip(by_layer(scaled.v), by_layer(W), strict=True):
        np.testing.assert_allclose(length(d["kernel"], axis=0), length(w["kernel"], axis=0), rtol=1e-5)
    assert abs(float(cosine(scaled))) < 0.5 * abs(float(cosine(plane_of(W, D, oblique, normalise="filter"))))
    one = {"layers": {0: W["layers"][0]}}  # with a single tensor, scaling keeps the angle
    pair = [{"layers": {0: d["layers"][0]}} for d in (D, oblique)]
    assert abs(float(cosine(plane_of(one, *pair, orthogonalise=True, normalise="tensor")))) < 1e-6


def test_plane_of_parallel_directions_has_zero_v():
    plane = plane_of(W, D, jax.tree.map(lambda x: -3 * x, D), orthogonalise=True)
    np.testing.assert_array_equal(vector(plane.v), 0)
    assert abs(float(cosine(random_plane(KEY, W, "tensor", orthogonalise=True)))) < 0.1


def test_gradient_direction_is_the_unit_gradient():
    a = jnp.array([1.0, 4.0])
    direction = gradient_direction(lambda x: jnp.sum(a * x**2) / 2, jnp.array([3.0, 1.0]))
    np.testing.assert_allclose(direction, np.array([3, 4]) / 5, rtol=1e-6)
    np.testing.assert_array_equal(gradient_direction(lambda x: jnp.sum(x**2), jnp.zeros(2)), 0)
    assert length(unit(D)) == pytest.approx(1, rel=1e-6)
    np.testing.assert_allclose(vector(between(W, D)), vector(D) - vector(W), rtol=1e-6)


@settings(derandomize=True, deadline=None, max_examples=10)
@given(st.integers(0, 10**6))
def test_triangle_plane_contains_its_points_isometrically(seed):
    points = [network(seed + i) for i in range(3)]
    plane, corners = triangle_plane(*points)
    reported = report(plane)
    np.testing.assert_allclose([reported["norm_u"], reported["norm_v"], reported["cosine"]], [1, 1, 0], atol=1e-5)
    for params, corner in zip(points, corners, strict=True):
        a, b, off = project(plane, params)
        np.testing.assert_allclose([a, b], corner, rtol=1e-4, atol=1e-4)
        assert off < 1e-4
    for i, j in ((0, 1), (0, 2), (1, 2)):
        apart = np.linalg.norm(vector(points[i]) - vector(points[j]))
        assert np.linalg.norm(corners[i] - corners[j]) == pytest.approx(apart, rel=1e-4)


def test_triangle_plane_of_collinear_points_has_zero_v():
    b = jax.tree.map(lambda x, d: x + d, W, D)
    c = jax.tree.map(lambda x, d: x - 2 * d, W, D)
    plane, corners = triangle_plane(W, b, c)
    np.testing.assert_array_equal(vector(plane.v), 0)
    np.testing.assert_allclose(corners[:, 0], np.array([0, 1, -2]) * length(D), rtol=1e-4)
    np.testing.assert_array_equal(corners[:, 1], 0)


def test_eigen_plane_is_along_two_of_the_vectors():
    rows = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0].astype(np.float32)
    vectors = {"b": jnp.asarray(rows[:4, :2]), "w": jnp.asarray(rows[:4, 2:]).reshape(4, 2, 2)}
    centre = {"b": jnp.ones(2), "w": jnp.ones((2, 2))}
    plane = eigen_plane(centre, vectors)
    np.testing.assert_array_equal(np.stack([vector(plane.u), vector(plane.v)]), rows[:2])
    np.testing.assert_array_equal(vector(plane.centre), np.ones(6))
    ends = eigen_plane(centre, vectors, (3, -4))
    np.testing.assert_array_equal(np.stack([vector(ends.u), vector(ends.v)]), rows[[3, 0]])
    with pytest.raises(ValueError, match="there are 4 eigenvectors"):
        eigen_plane(centre, vectors, (0, 4))


def test_report_has_norms_and_cosine():
    plane = coordinate_plane()._replace(u=jnp.array([3.0, 4.0]), v=jnp.array([0.0, 2.0]))
    reported = {name: float(value) for name, value in report(plane).items()}
    assert reported == pytest.approx({"norm_u": 5, "norm_v": 2, "cosine": 0.8})


def test_planes_jit_and_vmap():
    keys = jax.random.split(KEY, 2)
    make = lambda key: plane_of(W, random_direction(key, W), D, orthogonalise=True, normalise="layer")
    together = jax.jit(jax.vmap(make))(keys)
    for i, key in enumerate(keys):
        for mapped, alone in zip(jax.tree.leaves(together), jax.tree.leaves(make(key)), strict=True):
            np.testing.assert_allclose(mapped[i], alone, rtol=1e-4, atol=1e-6)
