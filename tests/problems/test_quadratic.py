"""The n-dimensional quadratic, against NumPy's linear algebra in float64."""

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.problems import quadratic

pytestmark = pytest.mark.usefixtures("x64")

SPECTRUM = (0.5, 3.0, 3.0, 20.0)


@pytest.mark.parametrize("rotation_seed", [0, 7, None])
def test_quadratic_loss_and_gradient(rotation_seed):
    problem = quadratic(SPECTRUM, rotation_seed=rotation_seed, shift=0.7)
    hessian, best = np.asarray(problem.facts["hessian"]), np.asarray(problem.facts["minimisers"])[0]
    x = np.random.default_rng(0).normal(size=4)
    value, grads = jax.jit(problem.value_and_grad, static_argnums=1)(jnp.asarray(x), None)
    np.testing.assert_allclose(value, (x - best) @ hessian @ (x - best) / 2, rtol=1e-12)
    np.testing.assert_allclose(grads, hessian @ (x - best), rtol=1e-12)
    np.testing.assert_allclose(
        jax.jit(jax.hessian(problem.loss), static_argnums=1)(jnp.asarray(x), None), hessian, rtol=1e-12, atol=1e-13
    )
    np.testing.assert_array_equal(best, np.full(4, 0.7))
    assert problem.loss(jnp.asarray(best), None) == problem.facts["minimum"] == 0


@pytest.mark.smoke
@hypothesis.settings(deadline=None, max_examples=25, derandomize=True)
@hypothesis.given(st.lists(st.floats(0, 100), min_size=1, max_size=5), st.one_of(st.none(), st.integers(0, 99)))
def test_quadratic_eigenvalues_are_the_spectrum(spectrum, seed):
    facts = quadratic(tuple(spectrum), rotation_seed=seed).facts
    eigenvalues = np.linalg.eigvalsh(np.asarray(facts["hessian"]))
    np.testing.assert_allclose(eigenvalues, sorted(spectrum), rtol=1e-10, atol=1e-11)
    assert facts["smoothness"] == max(spectrum)
    assert facts["strong_convexity"] == min(spectrum)


def test_quadratic_rotation_depends_on_its_seed():
    same = [np.asarray(quadratic(SPECTRUM, rotation_seed=s).facts["hessian"]) for s in (3, 3, 4, None)]
    np.testing.assert_array_equal(same[0], same[1])
    assert np.abs(same[0] - same[2]).max() > 0.1
    np.testing.assert_array_equal(same[3], np.diag(SPECTRUM))


def test_quadratic_start_is_uniform_on_a_sphere():
    problem = quadratic((1.0, 2.0, 3.0), start_radius=2.5, shift=-1.0)
    offsets = np.asarray(jax.jit(jax.vmap(problem.init))(jax.random.split(jax.random.key(0), 3000))) + 1.0
    np.testing.assert_allclose(np.linalg.norm(offsets, axis=1), 2.5, rtol=1e-12)
    np.testing.assert_allclose(offsets.mean(axis=0), 0, atol=0.12)
    np.testing.assert_allclose(offsets.T @ offsets / 3000, np.eye(3) * 2.5**2 / 3, atol=0.15)


def test_quadratic_traced_spectrum_equals_a_loop():
    spectra = np.array([[1.0, 2.0, 3.0], [0.0, 10.0, 5.0]])
    x = jnp.asarray([1.0, -2.0, 0.5])

    def measured(spectrum):
        problem = quadratic(spectrum)
        return problem.loss(x, None), dict(problem.facts)

    mapped = jax.jit(jax.vmap(measured))(jnp.asarray(spectra))
    for i, spectrum in enumerate(spectra):
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a, b[i], rtol=1e-12), measured(tuple(spectrum)), mapped
        )
    # A tuple of tracers is accepted too.
    pair = jax.jit(lambda a, b: quadratic((a, b)).facts["smoothness"])(2.0, 5.0)
    assert pair == 5


def test_quadratic_runs_of_different_spectra_share_one_matrix_product():
    """No Hessian is formed per run."""
    jaxpr = jax.make_jaxpr(jax.vmap(lambda s, x: quadratic(s).loss(x, None)))(jnp.ones((6, 4)), jnp.ones((6, 4)))
    live = jax.jit(jax.vmap(lambda s, x: quadratic(s).loss(x, None))).lower(jnp.ones((6, 4)), jnp.ones((6, 4)))
    assert "6x4x4" not in live.as_text()
    assert "dot_general" in str(jaxpr)


def test_quadratic_refuses_an_empty_spectrum():
    with pytest.raises(ValueError, match="at least one eigenvalue"):
        quadratic(())
