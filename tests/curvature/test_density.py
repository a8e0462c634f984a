"""Spectral densities against exact eigenvalues."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.curvature import Density, hessian_product, smoothed, spectral_density, trace
from tests.curvature.curvature_cases import dense_hessian, like, network, product, symmetric

pytestmark = pytest.mark.usefixtures("x64")

SPECTRUM = np.r_[np.random.default_rng(0).normal(size=76), 6.0, 9.0, 9.0, -5.0]
A = symmetric(SPECTRUM)


def density(matrix, steps, probes, key=0):
    return _density(jnp.asarray(matrix), jax.random.key(key), steps, probes)


@functools.partial(jax.jit, static_argnums=(2, 3))
def _density(matrix, key, steps, probes):
    return spectral_density(lambda v: matrix @ v, matrix[0], key, steps, probes)


def test_spectral_density_weights_sum_to_one_and_mean_is_trace_over_d():
    found = density(A, 12, 7)
    assert found.nodes.shape == found.weights.shape == (7, 12)
    np.testing.assert_allclose(np.sum(found.weights, axis=1), 1, rtol=1e-12)
    assert (np.asarray(found.weights) >= 0).all()
    mean = np.mean(np.sum(found.nodes * found.weights, axis=1))
    same = trace(product(A), like(A), jax.random.key(0), probes=7).value / 80
    np.testing.assert_allclose(mean, same, rtol=1e-10)
    many = density(A, 2, 1000)
    means = np.sum(np.asarray(many.nodes) * np.asarray(many.weights), axis=1)
    assert abs(means.mean() - SPECTRUM.mean()) < 4 * means.std() / 1000**0.5
    assert means.std() / 1000**0.5 < 0.02


def test_spectral_density_moments_are_exact_up_to_twice_the_steps():
    found = density(A, 4, 1, key=3)
    nodes, weights = np.asarray(found.nodes[0]), np.asarray(found.weights[0])
    v = np.asarray(jax.random.rademacher(jax.random.split(jax.random.key(3), 1)[0], (80,), jnp.float64))
    for power in range(8):
        exact = v @ np.linalg.matrix_power(A, power) @ v / 80
        np.testing.assert_allclose(np.sum(weights * nodes**power), exact, rtol=1e-9)


def test_smoothed_approximates_the_true_density():
    grid = np.linspace(-12, 16, 2001)
    found = density(A, 60, 60)
    drawn = np.asarray(smoothed(found, jnp.asarray(grid), 0.5))
    exact = np.mean(np.exp(-0.5 * ((grid[:, None] - SPECTRUM) / 0.5) ** 2) / (0.5 * np.sqrt(2 * np.pi)), axis=1)
    np.testing.assert_allclose(np.trapezoid(drawn, grid), 1, rtol=1e-9)
    assert np.trapezoid(np.abs(drawn - exact), grid) < 0.1
    uniform = np.full_like(grid, 1 / 28)
    assert np.trapezoid(np.abs(uniform - exact), grid) > 1


def test_smoothed_equals_a_sum_of_gaussians():
    found = Density(jnp.asarray([[0.0, 1.0], [2.0, 2.0]]), jnp.asarray([[0.25, 0.75], [1.0, 0.0]]))
    n = lambda x: np.exp(-(x**2) / 2 / 0.04) / (0.2 * np.sqrt(2 * np.pi))
    expected = [(0.25 * n(x) + 0.75 * n(x - 1) + n(x - 2)) / 2 for x in (0.0, 0.9, 2.1)]
    np.testing.assert_allclose(smoothed(found, jnp.asarray([0.0, 0.9, 2.1]), 0.2), expected, rtol=1e-12)
    for width in (0.0, -1.0, np.nan):
        assert np.isnan(smoothed(found, jnp.zeros(3), width)).all()


@pytest.mark.parametrize(
    ("spectrum", "distinct"),
    [([1.0] * 40, [1]), ([100.0] * 20 + [1.0] * 20, [1, 100]), ([3.0, 2.0, 1.0] + [0.0] * 37, [0, 1, 2, 3])],
    ids=["identity", "two clusters", "rank 3"],
)
def test_spectral_density_unused_steps_have_no_weight(spectrum, distinct):
    found = density(symmetric(spectrum), 15, 4)
    np.testing.assert_allclose(np.sum(found.weights, axis=1), 1, rtol=1e-12)
    for nodes, weights in zip(np.asarray(found.nodes), np.asarray(found.weights), strict=True):
        np.testing.assert_allclose(nodes[: len(distinct)], distinct, atol=1e-9)
        np.testing.assert_allclose(nodes[len(distinct) :], max(spectrum), atol=1e-9)
        assert (weights[len(distinct) :] == 0).all()
    mean = np.mean(np.sum(found.weights * found.nodes, axis=1))
    same = trace(product(symmetric(spectrum)), like(spectrum), jax.random.key(0), probes=4).value / len(spectrum)
    np.testing.assert_allclose(mean, same, rtol=1e-9)


def test_spectral_density_with_more_steps_than_rows_is_exact():
    found = density(symmetric([4.0, 1.0, -2.0]), 10, 2)
    np.testing.assert_allclose(found.nodes[:, :3], [[-2, 1, 4]] * 2, atol=1e-10)
    np.testing.assert_array_equal(found.weights[:, 3:], 0)


def test_spectral_density_second_moment_of_a_network():
    outputs, criterion, params = network(sizes=(6, 8, 4))
    loss = lambda params: criterion(outputs(params))
    run = lambda params: spectral_density(hessian_product(loss, params), params, jax.random.key(1), 10, 400)
    found = jax.jit(run)(params)
    h = dense_hessian(loss, params)
    seconds = np.sum(np.asarray(found.weights) * np.asarray(found.nodes) ** 2, axis=1)
    assert abs(seconds.mean() - np.sum(h**2) / len(h)) < 4 * seconds.std() / 20
    largest = np.linalg.eigvalsh(h)[-1]
    np.testing.assert_allclose(np.max(found.nodes), largest, rtol=1e-3)


def test_spectral_density_vmap_equals_loop_and_nan_matrix_gives_nan():
    stacked = jnp.asarray(np.stack([A, 2 * A, np.full_like(A, np.nan)]))
    run = lambda a: spectral_density(lambda v: a @ v, a[0], jax.random.key(0), 5, 2)
    together = jax.jit(jax.vmap(run))(stacked)
    for i, a in enumerate(stacked):
        alone = jax.jit(run)(a)
        np.testing.assert_allclose(together.nodes[i], alone.nodes, atol=1e-10)
        np.testing.assert_allclose(together.weights[i], alone.weights, atol=1e-10)
    assert np.isnan(together.nodes[2]).all()
    assert np.isnan(together.weights[2]).all()
    assert np.isnan(smoothed(jax.tree.map(lambda x: x[2], together), jnp.zeros(2), 1.0)).all()


def test_spectral_density_refuses_invalid_arguments():
    with pytest.raises(ValueError, match="at least one probe"):
        spectral_density(product(A), like(A), jax.random.key(0), 3, 0)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        spectral_density(product(A), like(A), jax.random.key(0), 0, 3)
