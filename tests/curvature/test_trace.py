"""Stochastic traces and diagonals against the exact ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from gdlab.curvature import diagonal, hessian_product, trace
from tests.curvature.curvature_cases import dense_hessian, like, network, product, symmetric

pytestmark = pytest.mark.usefixtures("x64")


def many(fn, runs=400):
    """A function of a key, evaluated at `runs` keys."""
    return jax.jit(jax.vmap(fn))(jax.random.split(jax.random.key(3), runs))


def test_trace_and_diagonal_are_exact_on_a_diagonal_matrix():
    stiff = {"a": jnp.asarray([1.0, -2.0, 5.0]), "b": jnp.asarray([[0.5]])}
    matvec = lambda v: jax.tree.map(jnp.multiply, stiff, v)
    found = trace(matvec, stiff, jax.random.key(0), probes=1)
    np.testing.assert_allclose(found.value, 4.5, rtol=1e-14)
    assert np.isnan(found.stderr)
    value, stderr = diagonal(matvec, stiff, jax.random.key(0), probes=2)
    for name, entries in stiff.items():
        np.testing.assert_allclose(value[name], entries, rtol=1e-14)
        np.testing.assert_array_equal(stderr[name], 0)


A = symmetric(np.r_[50.0, 20.0, -7.0, np.random.default_rng(0).uniform(-0.1, 0.3, 27)])


def test_trace_hutchinson_mean_and_variance():
    found = many(lambda key: trace(product(A), like(A), key, probes=9))
    variance = 2 * (np.sum(A**2) - np.sum(np.diag(A) ** 2)) / 9
    assert abs(np.mean(found.value) - np.trace(A)) < 4 * (variance / 400) ** 0.5
    np.testing.assert_allclose(np.var(found.value), variance, rtol=0.3)
    np.testing.assert_allclose(np.mean(np.square(found.stderr)), variance, rtol=0.1)


def test_trace_hutch_plus_plus_is_unbiased_and_more_accurate():
    found = many(lambda key: trace(product(A), like(A), key, probes=18, method="hutch++"))
    plain = many(lambda key: trace(product(A), like(A), key, probes=18))
    spread = np.std(found.value)
    assert abs(np.mean(found.value) - np.trace(A)) < 4 * spread / 20
    assert spread < 0.05 * np.std(plain.value)
    np.testing.assert_allclose(np.sqrt(np.mean(np.square(found.stderr))), spread, rtol=0.2)


@pytest.mark.parametrize(
    ("spectrum", "probes"),
    [([3.0, 2.0, 1.0] + [0.0] * 37, 12), ([4.0, -1.0, 2.0], 30), ([0.0] * 5, 3)],
    ids=["rank 3", "n < probes / 3", "zero"],
)
def test_trace_hutch_plus_plus_is_exact_at_full_rank(spectrum, probes):
    a = symmetric(spectrum)
    found = trace(product(a), like(a), jax.random.key(1), probes=probes, method="hutch++")
    np.testing.assert_allclose(found.value, sum(spectrum), atol=1e-12)
    if probes > 3:
        assert found.stderr < 1e-12


def test_trace_hutch_plus_plus_number_of_products():
    calls = []

    def counted(v):
        jax.debug.callback(lambda: calls.append(1))
        return 2 * v

    trace(counted, jnp.zeros(50), jax.random.key(0), probes=20, method="hutch++")
    jax.effects_barrier()
    assert len(calls) == 18


def test_diagonal_mean_and_variance():
    value, stderr = many(lambda key: diagonal(product(A), like(A), key, 5))
    variance = (np.sum(A**2, axis=1) - np.diag(A) ** 2) / 5
    assert (np.abs(np.mean(value, axis=0) - np.diag(A)) < 4.5 * (variance / 400) ** 0.5).all()
    np.testing.assert_allclose(np.mean(np.square(stderr), axis=0), variance, rtol=0.25)


def test_diagonal_sum_equals_trace():
    key = jax.random.key(5)
    value, _ = diagonal(product(A), like(A), key, 6)
    np.testing.assert_allclose(np.sum(value), trace(product(A), like(A), key, probes=6).value, rtol=1e-12)


def test_trace_of_a_network_is_within_its_standard_error():
    outputs, criterion, params = network(sizes=(6, 8, 4))
    loss = lambda params: criterion(outputs(params))
    h = dense_hessian(loss, params)
    for method in ("hutchinson", "hutch++"):
        run = lambda params, method=method: trace(
            hessian_product(loss, params), params, jax.random.key(2), probes=60, method=method
        )
        found = jax.jit(run)(params)
        assert abs(found.value - np.trace(h)) < 4 * found.stderr
        assert found.stderr < 0.2 * np.trace(h)
    value, stderr = jax.jit(lambda p: diagonal(hessian_product(loss, p), p, jax.random.key(2), 200))(params)
    z = (np.asarray(ravel_pytree(value)[0]) - np.diag(h)) / np.asarray(ravel_pytree(stderr)[0])
    assert np.sqrt(np.mean(z**2)) < 1.5


@pytest.mark.parametrize("method", ["hutchinson", "hutch++"])
def test_trace_vmap_equals_loop_and_nan_matrix_gives_nan(method):
    stacked = jnp.asarray(np.stack([A, 3 * A, np.full_like(A, np.nan)]))
    run = lambda a: trace(lambda v: a @ v, a[0], jax.random.key(0), probes=6, method=method)
    together = jax.jit(jax.vmap(run))(stacked)
    alone = [jax.jit(run)(a) for a in stacked]
    np.testing.assert_allclose(together.value, [one.value for one in alone], rtol=1e-10)
    assert np.isnan(together.value[2])
    assert np.isfinite(together.value[:2]).all()


def test_trace_and_diagonal_refuse_invalid_arguments():
    run = lambda **options: trace(product(A), like(A), jax.random.key(0), **options)
    with pytest.raises(ValueError, match=r"hutchinson, hutch\+\+, not 'xtrace'"):
        run(method="xtrace")
    with pytest.raises(ValueError, match="at least 1 probes, not 0"):
        run(probes=0)
    with pytest.raises(ValueError, match="at least 3 probes, not 2"):
        run(probes=2, method="hutch++")
    with pytest.raises(ValueError, match="probes must be at least 1"):
        diagonal(product(A), like(A), jax.random.key(0), 0)
