"""Preconditioned curvature against generalised eigenvalues of SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from gdlab.curvature import dense, preconditioned, top
from tests.curvature.curvature_cases import product, symmetric

pytestmark = pytest.mark.usefixtures("x64")

A = symmetric(np.random.default_rng(0).normal(size=9))
P = np.random.default_rng(1).uniform(0.1, 10, size=9)


def test_preconditioned_has_the_generalised_eigenvalues():
    matrix = np.asarray(dense(preconditioned(product(A), jnp.asarray(P)), jnp.zeros(9)))
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-14)
    np.testing.assert_allclose(np.linalg.eigvalsh(matrix), scipy.linalg.eigh(A, np.diag(P))[0], atol=1e-12)


def test_preconditioned_eigenvectors_map_to_those_of_the_product():
    found = top(preconditioned(product(A), jnp.asarray(P)), jnp.zeros(9), 1, jax.random.key(0))
    v = np.asarray(found.vectors[0]) / np.sqrt(P)
    np.testing.assert_allclose(A @ v / P, float(found.values[0]) * v, atol=1e-10)


def test_preconditioned_top_is_the_stability_threshold():
    sharpness = top(preconditioned(product(A @ A), jnp.asarray(P)), jnp.zeros(9), 1, jax.random.key(0)).values[0]
    step = lambda lr: np.abs(np.linalg.eigvals(np.eye(9) - lr * np.diag(1 / P) @ A @ A)).max()
    assert step(0.999 * 2 / float(sharpness)) < 1 < step(1.001 * 2 / float(sharpness))


def test_preconditioned_keeps_structure_and_dtypes():
    v = {"a": jnp.ones(2, jnp.float32), "b": jnp.ones((1, 2), jnp.bfloat16)}
    p = {"a": jnp.asarray([4.0, 16.0]), "b": jnp.asarray([[jnp.inf, 1.0]])}
    image = preconditioned(lambda v: v, p)(v)
    np.testing.assert_array_equal(image["a"], [0.25, 0.0625])
    np.testing.assert_array_equal(image["b"].astype(jnp.float32), [[0, 1]])
    assert (image["a"].dtype, image["b"].dtype) == (jnp.float32, jnp.bfloat16)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan])
def test_preconditioned_is_nan_for_entries_that_are_not_positive(bad):
    p = jnp.asarray(P).at[4].set(bad)
    compiled = jax.jit(lambda p: top(preconditioned(product(A), p), jnp.zeros(9), 2, jax.random.key(0)))
    assert np.isnan(preconditioned(product(A), p)(jnp.ones(9))).all()
    assert np.isnan(compiled(p).values).all()
    assert not compiled(p).converged.any()
    assert np.isfinite(compiled(jnp.asarray(P)).values).all()
