"""Curvature products against closed forms and `jax.hessian`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from gdlab.curvature import fisher_product, ggn_product, hessian_product, product_of
from gdlab.problems import linear_regression, logistic_regression, mlp, quadratic
from gdlab.types import Problem
from tests.curvature.curvature_cases import dense_hessian, network, symmetric, written

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 3)), RNG.normal(size=12)


def test_hessian_product_of_a_quadratic():
    a = symmetric([3.0, 1.0, -2.0, 0.5])
    loss = lambda x: 0.5 * x @ jnp.asarray(a) @ x
    np.testing.assert_allclose(written(lambda x: hessian_product(loss, x), jnp.ones(4)), a, atol=1e-12)


def test_hessian_product_of_least_squares():
    loss = lambda w: jnp.mean((jnp.asarray(X) @ w - Y) ** 2)
    w = jnp.ones(3)
    np.testing.assert_allclose(written(lambda w: hessian_product(loss, w), w), 2 / len(X) * X.T @ X, atol=1e-12)
    ggn = lambda w: ggn_product(lambda w: jnp.asarray(X) @ w, lambda z: jnp.mean((z - Y) ** 2), w)
    np.testing.assert_allclose(written(ggn, w), 2 / len(X) * X.T @ X, atol=1e-12)


def test_hessian_product_of_logistic_regression():
    labels = jnp.asarray(Y > 0, jnp.float64)
    outputs, criterion = lambda w: jnp.asarray(X) @ w, lambda z: jnp.mean(jnp.logaddexp(0.0, z) - labels * z)
    w = jnp.asarray([0.3, -1.0, 2.0])
    p = 1 / (1 + np.exp(-X @ np.asarray(w)))
    expected = X.T @ ((p * (1 - p))[:, None] * X) / len(X)
    hessian = lambda w: hessian_product(lambda w: criterion(outputs(w)), w)
    ggn = lambda w: ggn_product(outputs, criterion, w)
    for make in (hessian, ggn):
        np.testing.assert_allclose(written(make, w), expected, atol=1e-12)


def test_hessian_product_of_softmax_regression():
    outputs, criterion, params = network(sizes=(3, 4), examples=12)
    x = np.random.default_rng(0).normal(size=(12, 3))  # what `network` draws first
    z = np.asarray(outputs(params))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    # b, then w by rows, in the order of the leaves: features (1, x), times classes.
    features = np.column_stack([np.ones(12), x])
    blocks = [np.kron(np.outer(f, f), np.diag(q) - np.outer(q, q)) for f, q in zip(features, p, strict=True)]
    hessian = lambda params: hessian_product(lambda params: criterion(outputs(params)), params)
    ggn = lambda params: ggn_product(outputs, criterion, params)
    for make in (hessian, ggn):
        np.testing.assert_allclose(written(make, params), np.mean(blocks, axis=0), atol=1e-12)


@pytest.mark.parametrize("a", [0.5, 1.0, 3.0])
def test_hessian_product_of_a_scalar_deep_linear_network(a):
    # f = (ab - 1)^2 / 2: on ab = 1 the Hessian is (b, a)(b, a)', of eigenvalues 0 and a^2 + b^2.
    params = {"a": jnp.asarray(a), "b": jnp.asarray(1 / a)}
    h = written(lambda p: hessian_product(lambda p: 0.5 * (p["a"] * p["b"] - 1) ** 2, p), params)
    np.testing.assert_allclose(np.linalg.eigvalsh(h), [0, a**2 + a**-2], atol=1e-12)


def test_products_of_a_network_equal_dense_matrices():
    outputs, criterion, params = network()
    loss = lambda params: criterion(outputs(params))
    np.testing.assert_allclose(
        written(lambda p: hessian_product(loss, p), params), dense_hessian(loss, params), atol=1e-12
    )
    vector, unravel = ravel_pytree(params)
    j = np.asarray(jax.jit(jax.jacobian(lambda v: outputs(unravel(v)).ravel()))(vector))
    z = outputs(params)
    c = np.asarray(jax.jit(jax.hessian(lambda flat: criterion(flat.reshape(z.shape))))(z.ravel()))
    ggn = written(lambda p: ggn_product(outputs, criterion, p), params)
    np.testing.assert_allclose(ggn, j.T @ c @ j, atol=1e-12)
    assert np.linalg.eigvalsh(ggn).min() > -1e-12
    assert np.abs(ggn - dense_hessian(loss, params)).max() > 1e-2


def test_ggn_product_accepts_a_pytree_of_outputs():
    w = jnp.asarray([1.0, 2.0])
    outputs = lambda w: {"sum": w[0] + w[1], "both": 3 * w}
    criterion = lambda z: z["sum"] ** 2 + 0.5 * jnp.sum(z["both"] ** 2)
    np.testing.assert_allclose(written(lambda w: ggn_product(outputs, criterion, w), w), [[11, 2], [2, 11]], atol=1e-12)


def test_ggn_product_is_the_expected_fisher():
    outputs, _, params = network(sizes=(4, 5, 3), examples=6)
    p = np.asarray(jax.nn.softmax(outputs(params), axis=1))
    vector, unravel = ravel_pytree(params)
    true = 0.0
    for label in range(3):
        losses = lambda v, label=label: -jax.nn.log_softmax(outputs(unravel(v)), axis=1)[:, label]
        grads = np.asarray(jax.jit(jax.jacobian(losses))(vector))
        true = true + np.einsum("i,ia,ib->ab", p[:, label], grads, grads) / 6
    labels = jnp.zeros(6, int)  # the criterion's Hessian does not depend on them
    criterion = lambda z: -jnp.mean(jax.nn.log_softmax(z, axis=1)[jnp.arange(6), labels])
    np.testing.assert_allclose(written(lambda p: ggn_product(outputs, criterion, p), params), true, atol=1e-12)


def test_fisher_product_is_the_second_moment_of_gradients():
    w = jnp.asarray([0.3, -1.0, 2.0])
    losses = lambda w: (jnp.asarray(X) @ w - Y) ** 2
    grads = 2 * (X @ np.asarray(w) - Y)[:, None] * X
    np.testing.assert_allclose(written(lambda w: fisher_product(losses, w), w), grads.T @ grads / len(X), rtol=1e-10)
    with pytest.raises(ValueError, match="one number per example"):
        fisher_product(lambda w: losses(w).mean(), w)


def test_product_of_all_kinds():
    problem = linear_regression(l2=0.5)
    params = {"b": jnp.asarray(0.2), "w": jnp.linspace(-1, 1, 10)}
    x, y = (np.asarray(part, np.float64) for part in problem.data)
    features = np.column_stack([np.ones(len(x)), x])
    ridge = 0.5 * np.diag([0.0] + [1.0] * 10)
    kinds = ("hessian", "ggn", "fisher")
    made = {kind: written(lambda q, kind=kind: product_of(problem, q, problem.data, kind), params) for kind in kinds}
    np.testing.assert_allclose(made["hessian"], problem.facts["hessian"], atol=1e-6)
    np.testing.assert_allclose(made["hessian"], features.T @ features / len(x) + ridge, atol=1e-10)
    np.testing.assert_allclose(made["ggn"], features.T @ features / len(x), atol=1e-10)
    theta = np.concatenate([[0.2], np.linspace(-1, 1, 10)])
    grads = (features @ theta - y)[:, None] * features + (ridge @ theta)[None]
    np.testing.assert_allclose(made["fisher"], grads.T @ grads / len(x), rtol=1e-8)


def test_product_of_linear_classifier_hessian_equals_ggn():
    problem = logistic_regression(data="wine", spread=0.5)
    params = problem.init(jax.random.key(0))
    hessian, ggn = (
        written(lambda q, kind=kind: product_of(problem, q, problem.data, kind), params) for kind in ("hessian", "ggn")
    )
    np.testing.assert_allclose(hessian, ggn, atol=1e-12)


def test_product_of_a_problem_without_data_is_hessian_only():
    problem = quadratic(spectrum=(1.0, 4.0))
    at = jnp.ones(2)
    np.testing.assert_allclose(
        written(lambda x: product_of(problem, x, None), at), problem.facts["hessian"], atol=1e-12
    )
    with pytest.raises(ValueError, match="needs a Problem with outputs and criterion"):
        product_of(problem, at, None, "ggn")
    with pytest.raises(ValueError, match="needs a batch"):
        product_of(problem, at, None, "fisher")
    with pytest.raises(ValueError, match="hessian, ggn, fisher, not 'newton'"):
        product_of(problem, at, None, "newton")


def test_product_of_ignores_a_custom_gradient():
    game = Problem(init=lambda key: jnp.ones(2), loss=lambda x, _: x[0] ** 2, gradient=lambda x, _: (x[0], -x))
    np.testing.assert_allclose(written(lambda x: product_of(game, x, None), jnp.ones(2)), [[2, 0], [0, 0]])


def test_products_jit_and_vmap_over_params():
    problem = mlp(data="wine", widths=(5,), activation="tanh")
    batch = jax.tree.map(lambda x: x[:16], problem.data)
    params = jax.vmap(problem.init)(jax.random.split(jax.random.key(0), 3))
    squares = lambda q: [product_of(problem, q, batch, kind)(q) for kind in ("hessian", "ggn", "fisher")]
    together, alone = jax.jit(jax.vmap(squares))(params), jax.jit(squares)
    for i in range(3):
        expected = jax.tree.leaves(alone(jax.tree.map(lambda x, i=i: x[i], params)))
        for a, b in zip(jax.tree.leaves(together), expected, strict=True):
            np.testing.assert_allclose(a[i], b, atol=1e-12)


def test_products_at_nan_params_are_nan():
    outputs, criterion, params = network()
    params["layer0"]["w"] = params["layer0"]["w"].at[0, 0].set(jnp.nan)
    assert np.isnan(written(lambda q: hessian_product(lambda q: criterion(outputs(q)), q), params)).any()
