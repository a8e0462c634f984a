"""Probes on a path known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import descend, rules
from gdlab.curvature import split
from gdlab.problems import mlp
from gdlab.training.probes import (
    distance,
    every,
    grad_cosine,
    grad_norm,
    hessian_trace,
    layer_grad_norms,
    layer_update_norms,
    update_norm,
)
from tests.training.probes.probe_steps import bowl, gd_path, measured, regression, step_at

C, START = np.array([1.0, 3.0, 9.0]), np.array([2.0, -1.0, 0.5])


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("n", [1, 3])
def test_grad_cosine_on_a_quadratic(n):
    """The gradient at step t is c (1 - lr c)^t x0."""
    lr = 0.15
    probes = {"cosine": every(grad_cosine(), n)}
    how = {"steps": 20, "probes": probes}
    found = descend(bowl(*C, start=START), rules.gd(lr=lr), jax.random.key(0), **how).series["cosine"]
    g = C * (1 - lr * C) ** np.arange(0, 20, n)[:, None] * START
    lengths = np.linalg.norm(g, axis=1)
    assert np.isnan(found[0])
    np.testing.assert_allclose(found[n::n], np.sum(g[1:] * g[:-1], axis=1) / lengths[1:] / lengths[:-1], rtol=1e-10)


def test_grad_cosine_is_minus_one_across_a_valley():
    how = {"steps": 9, "probes": {"cosine": grad_cosine()}}
    found = descend(bowl(1.0), rules.gd(lr=1.9), jax.random.key(0), **how).series["cosine"]
    np.testing.assert_allclose(found[1:], -1, rtol=1e-6)


@pytest.mark.smoke
@pytest.mark.usefixtures("x64")
def test_distance_from_the_start():
    problem = bowl(*C, start=START)
    how = {"steps": 20, "every": 3, "probes": {"d": distance()}}
    found = descend(problem, rules.gd(lr=0.15), jax.random.key(0), **how).series["d"]
    path = gd_path(problem, 0.15, 20, every=3)
    np.testing.assert_allclose(found, np.linalg.norm(np.asarray(path) - START, axis=1), rtol=1e-12)
    assert found[0] == 0


def test_layer_norms_equal_those_of_their_leaves():
    problem = mlp(data="wine", widths=(4, 5))
    params = problem.init(jax.random.key(0))
    step = step_at(problem, params, problem.data)
    found = measured(layer_grad_norms, step)
    layers = step.grads["layers"]
    expected = [np.sqrt(sum(np.sum(np.square(leaf)) for leaf in layers[i].values())) for i in sorted(layers)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert list(split(params)) == ["layers/0", "layers/1", "layers/2"]
    np.testing.assert_allclose(np.linalg.norm(found), measured(grad_norm, step), rtol=1e-5)
    np.testing.assert_allclose(measured(layer_update_norms, step), 0.1 * found, rtol=1e-5)
    np.testing.assert_allclose(measured(update_norm, step), 0.1 * np.linalg.norm(found), rtol=1e-5)


def test_hessian_trace_of_a_diagonal_hessian_is_exact():
    step = step_at(bowl(*C), jnp.asarray(START, jnp.float32))
    np.testing.assert_allclose(measured(hessian_trace(probes=1), step), C.sum(), rtol=1e-6)


def test_hessian_trace_of_linear_regression():
    """H = 2/n X'X with a column of ones."""
    problem, x, _ = regression()
    z = np.column_stack([np.ones(len(x)), x])
    h = 2 / len(x) * z.T @ z
    probe = hessian_trace(probes=64)
    step = step_at(problem, problem.init(None), problem.data)
    deviation = np.sqrt(2 * (np.sum(h**2) - np.sum(np.diag(h) ** 2)) / 64)
    assert abs(measured(probe, step) - np.trace(h)) < 4 * deviation
    part = step_at(problem, problem.init(None), jax.tree.map(lambda leaf: leaf[:9], problem.data))
    assert abs(measured(hessian_trace(probes=64, data="all"), part) - np.trace(h)) < 4 * deviation
    with pytest.raises(ValueError, match="probes must be at least 1"):
        hessian_trace(probes=0)
