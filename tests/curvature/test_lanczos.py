"""The Lanczos process against moments and eigenvalues in NumPy, and its breakdown."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.curvature import lanczos, ritz
from tests.curvature.curvature_cases import process, product, symmetric


def full(t):
    """T [k, k] in float64, without unused rows."""
    live = int(t.live)
    alpha, beta = np.asarray(t.alpha, np.float64)[:live], np.asarray(t.beta, np.float64)[: live - 1]
    return np.diag(alpha) + np.diag(beta, 1) + np.diag(beta, -1)


@pytest.mark.smoke
@pytest.mark.usefixtures("x64")
def test_lanczos_projects_the_matrix_onto_orthonormal_vectors():
    a = symmetric(np.random.default_rng(1).normal(size=50))
    start = np.random.default_rng(2).normal(size=50)
    t, *_ = process(a, jnp.asarray(start), 20)
    q = np.asarray(t.vectors)
    assert int(t.live) == 20
    np.testing.assert_allclose(q[0], start / np.linalg.norm(start), atol=1e-14)
    np.testing.assert_allclose(q @ q.T, np.eye(20), atol=1e-14)
    np.testing.assert_allclose(q @ a @ q.T, full(t), atol=1e-13)
    outside = a @ q[-1] - q.T @ (q @ (a @ q[-1]))
    np.testing.assert_allclose(t.beta[-1], np.linalg.norm(outside), rtol=1e-10)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("steps", [1, 2, 5, 9])
def test_lanczos_k_steps_match_exactly_2k_moments(steps):
    a = symmetric(np.random.default_rng(3).uniform(-1, 1, size=40))
    start = np.random.default_rng(4).normal(size=40)
    q = start / np.linalg.norm(start)
    t = full(process(a, jnp.asarray(start), steps)[0])
    moments = [(q @ np.linalg.matrix_power(a, d) @ q, np.linalg.matrix_power(t, d)[0, 0]) for d in range(2 * steps + 1)]
    np.testing.assert_allclose(*np.transpose(moments[:-1]), atol=1e-13)
    assert abs(moments[-1][0] - moments[-1][1]) > 1e-10


def test_lanczos_stays_orthogonal_in_float32():
    a = symmetric(np.concatenate([np.linspace(0, 1, 195), [10, 20, 40, 80, 160]]))
    t, *_ = process(a, jnp.asarray(np.random.default_rng(5).normal(size=200), jnp.float32), 100)
    assert (t.vectors.dtype, t.alpha.dtype) == (jnp.float32, jnp.float32)
    np.testing.assert_allclose(t.vectors @ t.vectors.T, np.eye(100), atol=1e-6)


RANK_3 = [3.0, 2.0, 1.0] + [0.0] * 37


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(
    ("spectrum", "distinct"),
    [
        ([1.0] * 40, [1.0]),
        ([100.0] * 20 + [1.0] * 20, [1.0, 100.0]),
        (RANK_3, [0.0, 1.0, 2.0, 3.0]),
        ([0.0] * 40, [0.0]),
    ],
    ids=["identity", "two clusters", "rank 3", "zero"],
)
def test_lanczos_stops_at_the_dimension_of_the_krylov_space(spectrum, distinct, precision):
    with jax.enable_x64(precision == "float64"):
        start = jnp.asarray(np.random.default_rng(6).normal(size=len(spectrum)), precision)
        t, values, coordinates = process(symmetric(spectrum), start, len(spectrum))
        live = int(t.live)
        assert live == len(distinct)
        scale = max(spectrum) or 1
        np.testing.assert_allclose(values[:live], distinct, atol=1e-5 * scale)
        assert np.isnan(values[live:]).all()
        # The eigenvectors of the live block are zero in the dead block.
        np.testing.assert_array_equal(coordinates[live:, :live], 0)
        for dead in (t.alpha[live:], t.beta[live - 1 :], t.vectors[live:]):
            np.testing.assert_array_equal(dead, 0)


@pytest.mark.usefixtures("x64")
def test_lanczos_stops_after_d_steps():
    a = symmetric([5.0, 4.0, 2.0, -1.0])
    t, values, _ = process(a, jnp.ones(4), 7)
    assert int(t.live) == 4
    np.testing.assert_allclose(values[:4], [-1, 2, 4, 5], atol=1e-12)


def test_lanczos_stays_in_an_invariant_subspace():
    t, values, _ = process(np.diag([4.0, 3.0, 2.0, 1.0]), jnp.asarray([0.0, 1.0, 1.0, 0.0]), 4)
    assert int(t.live) == 2
    np.testing.assert_allclose(values[:2], [2, 3], rtol=1e-6)
    nothing, values, _ = process(np.eye(4), jnp.zeros(4), 3)
    assert int(nothing.live) == 0
    assert np.isnan(values).all()


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_lanczos_breakdown_test_is_relative_to_the_matrix(scale):
    a = scale * symmetric(np.linspace(1, 2, 10))
    t, values, _ = process(a, jnp.ones(10), 10)
    assert int(t.live) >= 6  # float32 has no more of so narrow a spectrum
    np.testing.assert_allclose(values[int(t.live) - 1] / scale, 2, rtol=1e-4)


def test_lanczos_propagates_nan():
    for bad in (jnp.nan, jnp.inf):
        assert np.isnan(process(np.diag([bad, 1, 1]), jnp.ones(3), 3)[1]).all()
    lost, *_ = process(np.eye(5), jnp.ones(5).at[2].set(jnp.nan), 3)
    assert np.isnan(lost.alpha).all()


def test_lanczos_vmap_and_jit_equal_a_loop():
    # Three eigenvalues, four times each: from nearly any start rounding stays far from the guard's tolerance.
    spectra = np.arange(12.0), [1.0] * 12, np.repeat([3.0, -2.0, 0.0], 4)
    matrices = jnp.asarray([symmetric(spectrum) for spectrum in spectra], jnp.float32)
    start = jnp.asarray(np.random.default_rng(7).normal(size=12), jnp.float32)
    run = lambda a: ritz(lanczos(lambda v: a @ v, start, 6))[0]
    together = jax.jit(jax.vmap(run))(matrices)
    np.testing.assert_allclose(together, np.stack([jax.jit(run)(a) for a in matrices]), atol=2e-5)
    assert np.isfinite(together).sum(axis=1).tolist() == [6, 1, 3]


def test_lanczos_refuses_zero_steps():
    with pytest.raises(ValueError, match="steps must be at least 1"):
        lanczos(product(np.eye(2)), jnp.ones(2), 0)
