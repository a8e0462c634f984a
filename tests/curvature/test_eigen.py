"""Extreme eigenvalues against `numpy.linalg.eigh` in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax.flatten_util import ravel_pytree

from gdlab.curvature import ggn_product, hessian_product, top
from tests.curvature.curvature_cases import dense_hessian, network, symmetric

KEY = jax.random.key(0)


def solve(matrix, k, *, key=KEY, steps=None, which="largest", start=None, tolerance=1e-3):
    """`top` of a matrix; one program for all matrices of one size."""
    return _solve(jnp.asarray(matrix, jnp.result_type(float)), key, start, k, steps, which, tolerance)


@functools.partial(jax.jit, static_argnums=(3, 4, 5))
def _solve(matrix, key, start, k, steps, which, tolerance):
    options = {"steps": steps, "which": which, "start": start, "tolerance": tolerance}
    return top(lambda v: matrix @ v, matrix[0], k, key, **options)


WHICH = {"largest": lambda v: -v, "smallest": lambda v: v, "magnitude": lambda v: -np.abs(v)}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("which", WHICH)
@pytest.mark.parametrize("steps", [None, 60], ids=["whole", "lanczos"])
def test_top_values_vectors_and_residuals_of_an_indefinite_matrix(which, steps):
    spectrum = np.concatenate(
        [[-9, -5, -3, 4, 6, 8], np.random.default_rng(0).uniform(-1, 1, 58 if steps is None else 94)]
    )
    a = symmetric(spectrum)
    found = solve(a, 4, steps=steps, which=which)
    expected = np.asarray(sorted(spectrum, key=WHICH[which])[:4])
    np.testing.assert_allclose(found.values, expected, atol=1e-8)
    rows = np.asarray(found.vectors)
    np.testing.assert_allclose(rows @ rows.T, np.eye(4), atol=1e-10)
    np.testing.assert_allclose(
        found.residuals, np.linalg.norm(a @ rows.T - rows.T * np.asarray(found.values), axis=0), atol=1e-12
    )
    assert found.converged.all()
    assert (rows[np.arange(4), np.abs(rows).argmax(axis=1)] > 0).all()


def test_top_magnitude_differs_from_largest_at_a_saddle():
    a = symmetric([-9.0, 1.0, 2.0])
    np.testing.assert_allclose(solve(a, 3).values, [2, 1, -9], rtol=1e-5)
    np.testing.assert_allclose(solve(a, 3, which="magnitude").values, [-9, 2, 1], rtol=1e-5)


@given(
    entries=hnp.arrays(np.float64, (7, 7), elements=st.floats(-1, 1).map(lambda x: 0.0 if abs(x) < 1e-100 else x)),
    exponent=st.integers(-6, 6),
    which=st.sampled_from(list(WHICH)),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=150)
def test_top_finds_only_eigenvalues(entries, exponent, which, seed):
    # Six steps on seven rows: never written out, and never enough to be exact for a matrix in general.
    with jax.enable_x64(True):
        a = (entries + entries.T) * 10.0**exponent
        found = _by_lanczos(jnp.asarray(a), jax.random.key(seed))[list(WHICH).index(which)]
        values, residuals = np.asarray(found.values), np.asarray(found.residuals)
        true = np.linalg.eigvalsh(a)
        scale = np.abs(true).max()
        there = ~np.isnan(values)
        assert there[0]
        distance = np.abs(values[there][:, None] - true[None]).min(axis=1)
        assert (distance <= residuals[there] + 1e-12 * scale).all()
        assert (values[there] <= true.max() + 1e-12 * scale).all()
        assert (values[there] >= true.min() - 1e-12 * scale).all()
        keys = WHICH[which](values[there])
        assert (np.diff(keys) >= -1e-12 * scale).all()
        small = residuals[there] <= 1e-3 * _largest(a, seed)
        np.testing.assert_array_equal(np.asarray(found.converged)[there], small)


@jax.jit
def _by_lanczos(a, key):
    return [top(lambda v: a @ v, a[0], 3, key, steps=6, which=which) for which in WHICH]


def _largest(a, seed):
    return np.abs(np.asarray(_by_lanczos(jnp.asarray(a), jax.random.key(seed))[2].values[0]))


@pytest.mark.smoke
@pytest.mark.usefixtures("x64")
def test_top_of_a_network_equals_its_dense_hessian():
    outputs, criterion, params = network(sizes=(6, 8, 4))
    loss = lambda params: criterion(outputs(params))
    true = np.linalg.eigvalsh(dense_hessian(loss, params))
    run = lambda params, which: top(hessian_product(loss, params), params, 5, KEY, steps=60, which=which)
    both = jax.jit(lambda params: (run(params, "largest"), run(params, "smallest")))(params)
    for found, expected in zip(both, (true[::-1][:5], true[:5]), strict=True):
        assert found.converged.all()
        np.testing.assert_allclose(found.values, expected, atol=1e-6)
        assert jax.tree.structure(found.vectors) == jax.tree.structure(params)
        assert found.vectors["layer0"]["w"].shape == (5, 6, 8)


@pytest.mark.usefixtures("x64")
def test_top_of_a_relu_network_has_no_spurious_values():
    # The Hessian of a small ReLU network has a large null space, so the process is over before n steps.
    outputs, criterion, params = network(sizes=(4, 6, 3), examples=8, activation=jax.nn.relu)
    vector, unravel = ravel_pytree(params)
    n = len(vector)
    points = vector[None] + 0.3 * jnp.asarray(np.random.default_rng(9).normal(size=(8, n)))
    loss = lambda vector: criterion(outputs(unravel(vector)))
    hessians = np.asarray(jax.jit(jax.vmap(jax.hessian(loss)))(points))
    run = lambda vector: top(hessian_product(loss, vector), vector, n // 2, KEY, steps=n - 1)
    found = jax.jit(jax.vmap(run))(points)
    for i, h in enumerate(hessians):
        true = np.linalg.eigvalsh(h)
        values = np.asarray(found.values[i])
        there = ~np.isnan(values)
        assert np.linalg.matrix_rank(h, tol=1e-10) < n - 5
        np.testing.assert_allclose(values[0], true[-1], rtol=1e-10)
        assert np.abs(values[there][:, None] - true[None]).min(axis=1).max() < 1e-8
        assert (np.asarray(found.residuals[i])[there] < 1e-8).all()
        assert found.converged[i][there].all()


def test_top_is_the_stability_threshold_of_gradient_descent():
    a = symmetric(np.linspace(0.1, 5, 100))
    sharpness = float(solve(a, 3).values[0])
    start = np.random.default_rng(1).normal(size=100)
    growth = lambda lr: np.linalg.norm(np.linalg.matrix_power(np.eye(100) - lr * a, 4000) @ start)
    assert growth(2 / sharpness * 0.999) < np.linalg.norm(start) < growth(2 / sharpness * 1.01)


@pytest.mark.parametrize(
    ("spectrum", "steps", "expected"),
    [
        ([1.0] * 40, 39, [1, np.nan, np.nan]),
        ([1.0] * 40, None, [1, 1, 1]),
        ([100.0] * 20 + [1.0] * 20, 39, [100, 1, np.nan]),
        ([3.0, 2.0, 1.0] + [0.0] * 37, 39, [3, 2, 1]),
        ([0.0] * 40, 39, [0, np.nan, np.nan]),
        ([7.0, 5.0], None, [7, 5, np.nan]),
        ([7.0, 5.0], 2, [7, 5, np.nan]),
        ([7.0], None, [7, np.nan, np.nan]),
    ],
    ids=["identity", "identity whole", "two clusters", "rank 3", "zero", "n < k", "n < k, n steps", "n = 1"],
)
def test_top_missing_values_are_nan(spectrum, steps, expected):
    found = solve(symmetric(spectrum), 3, steps=steps)
    there = ~np.isnan(expected)
    np.testing.assert_allclose(found.values, expected, rtol=1e-4)
    np.testing.assert_array_equal(found.converged, there)
    np.testing.assert_array_equal(np.isnan(found.residuals), ~there)
    np.testing.assert_array_equal(np.isnan(found.vectors), np.broadcast_to(~there[:, None], found.vectors.shape))


def test_top_smallest_ignores_unused_steps():
    found = solve(symmetric([3.0, 2.0] * 20), 2, steps=20, which="smallest")
    np.testing.assert_allclose(found.values, [2, 3], rtol=1e-5)


def test_top_reports_values_that_have_not_converged():
    a = symmetric(np.linspace(0, 1, 40))
    found = solve(a, 3, steps=6)
    assert not found.converged.any()
    assert (np.asarray(found.residuals) > 1e-3).all()
    loose = solve(a, 3, steps=6, tolerance=1.0)
    assert loose.converged.all()


@pytest.mark.usefixtures("x64")
def test_top_needs_fewer_steps_from_a_start_near_the_eigenvector():
    a = symmetric(np.concatenate([np.linspace(0, 1, 200), [1.1]]))
    draw = np.random.default_rng(2).normal(size=201)
    cold, warm = (solve(a, 1, steps=4, start=jnp.asarray(x)) for x in (draw, np.linalg.eigh(a)[1][:, -1] + 1e-4 * draw))
    assert warm.residuals[0] < 1e-3
    assert cold.residuals[0] > 1e-2
    np.testing.assert_allclose(warm.values, [1.1], atol=1e-6)


@pytest.mark.parametrize("size", [10, 100])
def test_top_of_a_nan_matrix_is_nan(size):
    for bad in (np.nan, np.inf):
        a = np.eye(size)
        a[0, 0] = bad
        found = solve(a, 3)
        assert np.isnan(found.values).all()
        assert np.isnan(found.residuals).all()
        assert not found.converged.any()


def test_top_vmap_and_jit_equal_a_loop():
    matrices = np.stack([symmetric(np.r_[np.linspace(-1, 1, 97), s, 2 * s, 3 * s]) for s in (2.0, 5.0, np.nan, 7.0)])
    stacked = jnp.asarray(matrices, jnp.float32)
    run = lambda a: top(lambda v: a @ v, a[0], 3, KEY)
    together = jax.jit(jax.vmap(run))(stacked)
    alone = [solve(a, 3) for a in matrices]
    for name in ("values", "vectors", "converged"):
        expected = np.stack([getattr(one, name) for one in alone])
        np.testing.assert_allclose(getattr(together, name), expected, atol=1e-4)
    np.testing.assert_allclose(together.values[1], [15, 10, 5], rtol=1e-5)
    assert np.isnan(together.values[2]).all()


def test_top_computes_half_precision_params_in_float32():
    params = {"a": jnp.zeros(40, jnp.bfloat16), "b": jnp.zeros((5, 6), jnp.float32)}
    stiff = {"a": jnp.linspace(1, 4, 40).astype(jnp.bfloat16), "b": jnp.full((5, 6), 0.5).at[0, 0].set(8)}
    matvec = lambda v: jax.tree.map(jnp.multiply, stiff, v)
    found = jax.jit(lambda key: top(matvec, params, 2, key))(KEY)
    np.testing.assert_allclose(found.values, [8, 4], rtol=0.01)
    assert (found.values.dtype, found.vectors["a"].dtype) == (jnp.float32, jnp.bfloat16)


@pytest.mark.usefixtures("x64")
def test_top_values_do_not_depend_on_the_key():
    outputs, criterion, params = network(sizes=(6, 8, 4))
    run = jax.jit(lambda key: top(ggn_product(outputs, criterion, params), params, 3, key, steps=40).values)
    np.testing.assert_allclose(run(KEY), run(jax.random.key(1)), rtol=1e-8)


def test_top_refuses_invalid_arguments():
    a = np.eye(100)
    with pytest.raises(ValueError, match="largest, smallest, magnitude, not 'biggest'"):
        solve(a, 1, which="biggest")
    with pytest.raises(ValueError, match="at least 1, not 0"):
        solve(a, 0)
    with pytest.raises(ValueError, match="find at most 2 eigenvalues; k=3 needs"):
        solve(a, 3, steps=2)
    with pytest.raises(ValueError, match="params are empty"):
        top(lambda v: v, {}, 1, KEY)
