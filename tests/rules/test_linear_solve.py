"""Linear systems over pytrees, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.rules.linear_solve import conjugate_gradients, direct
from tests.rules.functional_runs import CURVATURE, START


def test_conjugate_gradients_and_direct_solve_a_linear_system_over_a_tree(x64):
    matrix = jnp.asarray(CURVATURE)
    b = {"a": jnp.asarray(START[:3]), "b": [jnp.asarray(START[3]), None, jnp.zeros((0, 2)), jnp.asarray(START[4:])]}

    def product(v):
        flat = matrix @ jnp.concatenate([v["a"], v["b"][0][None], v["b"][3]])
        return {"a": flat[:3], "b": [flat[3], None, jnp.zeros((0, 2)), flat[4:]]}

    expected = np.linalg.solve(CURVATURE, START)
    for x in (conjugate_gradients(product, b), direct(product, b)):
        assert jax.tree.structure(x) == jax.tree.structure(b)
        np.testing.assert_allclose(np.concatenate([x["a"], [x["b"][0]], x["b"][3]]), expected, rtol=1e-9)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_conjugate_gradients_are_optimal_in_their_krylov_space(steps, x64):
    """The residual is orthogonal to b, H b, ..., H^(steps - 1) b."""
    x = conjugate_gradients(lambda v: jnp.asarray(CURVATURE) @ v, jnp.asarray(START), steps)
    krylov = np.stack([np.linalg.matrix_power(CURVATURE, k) @ START for k in range(steps)])
    residual = START - CURVATURE @ x
    np.testing.assert_allclose(krylov @ residual / np.linalg.norm(krylov, axis=1), 0.0, atol=1e-9)
    assert np.linalg.norm(residual) > 1e-3


def test_conjugate_gradients_of_zero_are_zero_and_of_negative_curvature_b():
    np.testing.assert_array_equal(conjugate_gradients(lambda v: v, jnp.zeros(4)), 0.0)
    np.testing.assert_array_equal(conjugate_gradients(lambda v: -v, jnp.ones(4)), 1.0)
    assert conjugate_gradients(lambda v: v, {}) == {}
    assert direct(lambda v: v, {}) == {}
