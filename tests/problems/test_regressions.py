"""Linear and logistic regression against NumPy, scikit-learn and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.linear_model
from jax.flatten_util import ravel_pytree

from gdlab.problems import linear_regression, logistic_regression
from gdlab.problems.data import load

pytestmark = pytest.mark.usefixtures("x64")


def float64(part):
    return np.asarray(part.x, np.float64), np.asarray(part.y, np.float64)


def flat_loss(problem):
    start, unravel = ravel_pytree(problem.init(jax.random.key(0)))
    return start, unravel, lambda flat: problem.loss(unravel(flat), problem.data)


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_linear_loss_and_hessian(l2):
    problem = linear_regression(l2=l2)
    start, unravel, loss = flat_loss(problem)
    x, y = float64(load("diabetes").train)
    flat = np.random.default_rng(0).normal(size=11)
    b, w = flat[0], flat[1:]
    assert not start.any()
    np.testing.assert_allclose(unravel(jnp.asarray(flat))["w"], w)
    expected = 0.5 * np.mean((x @ w + b - y) ** 2) + 0.5 * l2 * w @ w
    np.testing.assert_allclose(loss(jnp.asarray(flat)), expected, rtol=1e-12)
    hessian = np.asarray(jax.jit(jax.hessian(loss))(jnp.asarray(flat)))
    augmented = np.column_stack([np.ones(len(x)), x])
    np.testing.assert_allclose(hessian, augmented.T @ augmented / len(x) + l2 * np.diag([0.0] + [1.0] * 10), atol=1e-12)
    np.testing.assert_allclose(problem.facts["hessian"], hessian, atol=1e-12)
    eigenvalues = np.linalg.eigvalsh(hessian)
    np.testing.assert_allclose(problem.facts["smoothness"], eigenvalues[-1], rtol=1e-12)
    np.testing.assert_allclose(problem.facts["strong_convexity"], eigenvalues[0], rtol=1e-9)


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_linear_minimiser_equals_lstsq(l2):
    problem = linear_regression(l2=l2)
    _, _, loss = flat_loss(problem)
    x, y = float64(load("diabetes").train)
    # Ridge regression is least squares with additional examples sqrt(n l2) e_j, with target 0.
    rows = np.column_stack([np.zeros(10), np.sqrt(len(x) * l2) * np.eye(10)])
    design = np.vstack([np.column_stack([np.ones(len(x)), x]), rows])
    solution = np.linalg.lstsq(design, np.concatenate([y, np.zeros(10)]), rcond=None)[0]
    (best,) = problem.facts["minimisers"]
    np.testing.assert_allclose(best, solution, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(loss(best), problem.facts["minimum"], rtol=1e-12)
    np.testing.assert_allclose(jax.jit(jax.grad(loss))(best), 0, atol=1e-12)


@pytest.mark.parametrize("dependent", [False, True])
def test_linear_facts_of_own_data_that_are_not_centred(dependent):
    rng = np.random.default_rng(3)
    x, y = rng.normal([5.0, -1.0, 0.5], size=(30, 3)), rng.normal(size=30) + 2
    if dependent:
        x[:, 2] = x[:, 0] - 2 * x[:, 1]
    for l2 in (0.0, 0.4):
        problem = linear_regression(data=(x, y), l2=l2)
        start, _, loss = flat_loss(problem)
        hessian = np.asarray(jax.hessian(loss)(start))
        np.testing.assert_allclose(problem.facts["hessian"], hessian, atol=1e-12)
        eigenvalues = np.linalg.eigvalsh(hessian)
        np.testing.assert_allclose(problem.facts["smoothness"], eigenvalues[-1], rtol=1e-12)
        np.testing.assert_allclose(problem.facts["strong_convexity"], eigenvalues[0], rtol=1e-9, atol=1e-12)
        (best,) = problem.facts["minimisers"]
        np.testing.assert_allclose(jax.grad(loss)(best), 0, atol=1e-12)
        np.testing.assert_allclose(loss(best), problem.facts["minimum"], rtol=1e-12)


def test_linear_metrics():
    problem = linear_regression(l2=0.5)
    params = {"b": jnp.asarray(0.1), "w": jnp.linspace(-0.3, 0.3, 10)}
    x, y = float64(load("diabetes").test)
    residual = x @ np.linspace(-0.3, 0.3, 10) + 0.1 - y
    np.testing.assert_allclose(problem.metrics["mse"](params, problem.eval_data), np.mean(residual**2), rtol=1e-12)
    r2 = 1 - np.sum(residual**2) / np.sum((y - y.mean()) ** 2)
    np.testing.assert_allclose(problem.metrics["r2"](params, problem.eval_data), r2, rtol=1e-12)


def test_linear_facts_with_traced_l2_equal_a_loop():
    penalties = np.array([0.0, 1e-3, 2.0])
    mapped = jax.jit(jax.vmap(lambda l2: dict(linear_regression(l2=l2).facts)))(jnp.asarray(penalties))
    for i, l2 in enumerate(penalties):
        for name, value in linear_regression(l2=float(l2)).facts.items():
            np.testing.assert_allclose(mapped[name][i], value, rtol=1e-12, atol=1e-14)


def test_logistic_value_and_gradient_in_numpy():
    problem = logistic_regression("wine", l2=0.2, spread=0.5)
    params = problem.init(jax.random.key(1))
    value, grads = jax.jit(problem.value_and_grad)(params, problem.data)
    x, y = float64(load("wine").train)
    w, b = np.asarray(params["w"]), np.asarray(params["b"])
    p = np.exp(x @ w + b)
    p /= p.sum(axis=1, keepdims=True)
    one_hot = np.eye(3)[y.astype(int)]
    np.testing.assert_allclose(value, -np.mean(np.log((p * one_hot).sum(axis=1))) + 0.1 * (w**2).sum(), rtol=1e-12)
    np.testing.assert_allclose(grads["w"], x.T @ (p - one_hot) / len(x) + 0.2 * w, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(grads["b"], (p - one_hot).mean(axis=0), rtol=1e-10, atol=1e-13)


def test_logistic_hessian_has_kronecker_form_and_obeys_its_bound():
    problem = logistic_regression("wine", spread=0.1)
    x, _ = float64(load("wine").train)
    start, _, loss = flat_loss(problem)
    hessian = jax.jit(jax.hessian(loss))(start)
    params = problem.init(jax.random.key(0))
    p = np.asarray(jax.nn.softmax(jnp.asarray(x) @ params["w"] + params["b"][None]))
    blocks = np.einsum("ni,ij->nij", p, np.eye(3)) - np.einsum("ni,nj->nij", p, p)
    augmented = np.column_stack([np.ones(len(x)), x])
    expected = np.einsum("nij,na,nb->aibj", blocks, augmented, augmented).reshape(42, 42) / len(x)
    np.testing.assert_allclose(hessian, expected, atol=1e-12)
    bound = 0.5 * np.linalg.eigvalsh(augmented.T @ augmented / len(x))[-1]
    np.testing.assert_allclose(problem.facts["smoothness_bound"], bound, rtol=1e-12)
    assert 0.3 * bound < np.linalg.eigvalsh(hessian)[-1] < bound
    np.testing.assert_allclose(logistic_regression("wine", l2=0.5).facts["smoothness_bound"], bound + 0.5, rtol=1e-12)


@pytest.mark.parametrize(("data", "ratio"), [("wine", 1.0), ("breast_cancer", 0.5)])
def test_logistic_minimum_equals_scikit_learn(data, ratio):
    """Its penalty is 1/C on the sum over examples; its binary form is the softmax at twice the penalty."""
    problem, (x, y) = logistic_regression(data, l2=0.1), float64(load(data).train)
    fitted = sklearn.linear_model.LogisticRegression(C=1 / (0.1 * ratio * len(x)), tol=1e-10, max_iter=5000).fit(x, y)
    w, b = fitted.coef_.T, fitted.intercept_
    if data == "breast_cancer":
        w, b = np.column_stack([-w[:, 0] / 2, w[:, 0] / 2]), np.concatenate([-b / 2, b / 2])
    params = {"b": jnp.asarray(b), "w": jnp.asarray(w)}
    grads, _ = ravel_pytree(jax.jit(jax.grad(problem.loss))(params, problem.data))
    np.testing.assert_allclose(grads, 0, atol=1e-6)
    accuracy = problem.metrics["accuracy"](params, problem.eval_data)
    np.testing.assert_allclose(accuracy, fitted.score(*float64(load(data).test)), rtol=1e-12)
    other = jax.tree.map(lambda leaf: leaf + 0.01, params)
    assert problem.loss(params, problem.data) < problem.loss(other, problem.data)


def test_logistic_initial_loss_is_ln_classes_and_spread_moves_it():
    problem = logistic_regression("wine")
    params = problem.init(jax.random.key(0))
    np.testing.assert_allclose(problem.loss(params, problem.data), np.log(3), rtol=1e-12)
    drawn = logistic_regression("wine", spread=0.2).init(jax.random.key(0))
    np.testing.assert_allclose(np.std(drawn["w"]), 0.2, rtol=0.3)
    assert not drawn["b"].any()


def test_regressions_refuse_the_wrong_kind_of_target():
    with pytest.raises(ValueError, match="'wine' is a class label"):
        linear_regression("wine")
    with pytest.raises(ValueError, match="'diabetes' is numeric"):
        logistic_regression("diabetes")
    with pytest.raises(ValueError, match="no data set 'iris'"):
        linear_regression("iris")
