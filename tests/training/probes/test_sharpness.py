"""Sharpness against dense matrices and their eigenvalues in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from gdlab import Problem, Rule, descend, rules
from gdlab.problems import mlp, quadratic
from gdlab.training.probes import position, preconditioned_sharpness, sharpness, top_subspace_share
from tests.training.probes.probe_steps import bowl, measured, regression, step_at

PROBES = {"x": position, "sharpness": sharpness(), "seen": preconditioned_sharpness()}


@functools.cache
def network():
    problem = mlp(data="wine", widths=(8,), activation="tanh")
    _, tree = ravel_pytree(problem.init(jax.random.key(0)))
    return problem, tree


@jax.jit
def exact(x, batch):
    problem, tree = network()
    return jax.hessian(lambda v: problem.loss(tree(v), batch))(x)


def hessian(x, batch):
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64) if a.dtype == jnp.float32 else a, batch)
        return np.asarray(exact(jnp.asarray(x, jnp.float64), wide))


@pytest.mark.parametrize("every_n", [1, 20])
def test_sharpness_of_a_quadratic(every_n):
    problem = quadratic(spectrum=(0.01, 0.5, 1.0, 2.0, 3.0, 7.0, 7.5), rotation_seed=3)
    trace = descend(problem, rules.gd(lr=0.1), jax.random.key(1), steps=60, every=every_n, probes={"s": sharpness()})
    np.testing.assert_allclose(trace.series["s"], 7.5, rtol=1e-4)


def test_sharpness_is_algebraically_largest():
    problem = bowl(-9.0, -2.0, 0.5, 1.0, 1.5, 2.0)
    np.testing.assert_allclose(measured(sharpness(), step_at(problem, jnp.ones(6))), 2, rtol=1e-3)
    below = bowl(*(-1.0 - np.arange(8)))
    np.testing.assert_allclose(measured(sharpness(), step_at(below, jnp.ones(8))), -1, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "batch_size"), [("gd", None), ("adam", None), ("momentum", 32)])
def test_sharpness_during_training_equals_the_dense_hessian(rule, batch_size):
    problem, _ = network()
    made = {"gd": rules.gd(lr=0.5), "adam": rules.adam(lr=0.01), "momentum": rules.momentum(lr=0.1)}[rule]
    probes = {"x": position, "s": sharpness(data="all")}
    how = {"steps": 300, "every": 20, "batch_size": batch_size, "probes": probes}
    series = descend(problem, made, jax.random.key(2), **how).series
    for x, found in zip(series["x"], series["s"], strict=True):
        np.testing.assert_allclose(found, np.linalg.eigvalsh(hessian(x, problem.data))[-1], rtol=1e-3)


def test_sharpness_of_the_batch():
    problem, tree = network()
    x = jax.random.normal(jax.random.key(3), (139,)) / 3
    batch = jax.tree.map(lambda a: a[:16], problem.data)
    step = step_at(problem, tree(x), batch)
    np.testing.assert_allclose(measured(sharpness(), step), np.linalg.eigvalsh(hessian(x, batch))[-1], rtol=1e-3)
    whole = np.linalg.eigvalsh(hessian(x, problem.data))[-1]
    np.testing.assert_allclose(measured(sharpness(data="all"), step), whole, rtol=1e-3)


def test_sharpness_follows_a_change_of_the_largest_eigenvalue():
    """The Hessian of x_i^4 / 12 is diag(x^2). Only the first coordinate moves, from the largest down to 0."""
    first = np.concatenate([[3.0, 2.5], np.linspace(0, 2, 40)])
    problem = Problem(init=lambda key: jnp.asarray(first, jnp.float32), loss=lambda x, batch: jnp.sum(x**4) / 12)
    rule = Rule(lambda params: (), lambda grads, state, params=None, **_: (jnp.zeros(42).at[0].set(-0.1), state))
    series = descend(problem, rule, jax.random.key(0), steps=30, probes={"x": position, "s": sharpness()}).series
    np.testing.assert_allclose(series["s"], jnp.max(series["x"] ** 2, axis=1), rtol=2e-2)
    np.testing.assert_allclose(series["s"][10:], 2.5**2, rtol=1e-3)


def test_preconditioned_sharpness_equals_the_dense_matrix_of_adam():
    problem, _ = network()
    b1, b2, eps = 0.9, 0.99, 1e-3
    rule = rules.adam(lr=0.01, b1=b1, b2=b2, eps=eps)
    gradients = {"g": lambda step: ravel_pytree(step.grads)[0]}
    series = descend(problem, rule, jax.random.key(0), steps=101, probes=PROBES | gradients).series
    v = np.zeros(139)
    for t, g in enumerate(np.asarray(series["g"], np.float64), start=1):
        v = b2 * v + (1 - b2) * g**2
        if t % 25 == 1:
            root = np.sqrt((1 - b1**t) * (np.sqrt(v / (1 - b2**t)) + eps))
            expected = np.linalg.eigvalsh(hessian(series["x"][t - 1], problem.data) / root[:, None] / root[None])[-1]
            np.testing.assert_allclose(series["seen"][t - 1], expected, rtol=2e-3)


def test_preconditioned_sharpness_without_preconditioner_is_sharpness():
    problem, _ = network()
    series = descend(problem, rules.gd(lr=0.1), jax.random.key(0), steps=10, probes=PROBES).series
    np.testing.assert_array_equal(series["seen"], series["sharpness"])


def test_preconditioned_sharpness_is_nan_for_zero_entries():
    step = step_at(bowl(1.0, 2.0), jnp.ones(2), preconditioner=lambda: jnp.asarray([1.0, 0.0]))
    assert jnp.isnan(measured(preconditioned_sharpness(), step))


@pytest.mark.slow
def test_top_subspace_share_equals_dense_eigenvectors():
    problem, tree = network()
    x = jax.random.normal(jax.random.key(5), (139,)) / 3
    step = step_at(problem, tree(x), problem.data)
    g = np.asarray(ravel_pytree(step.grads)[0], np.float64)
    vectors = np.linalg.eigh(hessian(x, problem.data))[1]
    for k in (1, 3, 8):
        expected = np.sum((vectors[:, -k:].T @ g) ** 2) / np.sum(g**2)
        np.testing.assert_allclose(measured(top_subspace_share(k=k, steps=60), step), expected, rtol=2e-3)
    batch = step_at(problem, tree(x), jax.tree.map(lambda a: a[:8], problem.data))
    np.testing.assert_allclose(measured(top_subspace_share(k=8, steps=60, data="all"), batch), expected, rtol=2e-3)


def test_top_subspace_share_of_all_directions_is_one():
    step = step_at(bowl(1.0, 2.0, 3.0), jnp.asarray([1.0, -1.0, 2.0]))
    np.testing.assert_allclose(measured(top_subspace_share(k=5), step), 1, rtol=1e-6)


def test_sharpness_probes_refuse_invalid_arguments():
    for wrong in (
        lambda: sharpness(iterations=0),
        lambda: preconditioned_sharpness(0),
        lambda: top_subspace_share(k=9, steps=8),
    ):
        with pytest.raises(ValueError, match=r"at least 1|between"):
            wrong()
    problem, *_ = regression()
    with pytest.raises(ValueError, match="data must be one of batch, all"):
        measured(sharpness(data="batches"), step_at(problem, problem.init(None), problem.data))
    stream = Problem(
        init=lambda key: jnp.ones(2),
        loss=lambda x, b: jnp.sum(x**2) + 0 * jnp.sum(b),
        sample=lambda k, s, n: jnp.ones(n),
    )
    with pytest.raises(ValueError, match="endless stream"):
        measured(sharpness(data="all"), step_at(stream, jnp.ones(2), jnp.ones(3)))
