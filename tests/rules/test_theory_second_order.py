"""Closed-form properties of the rules that use curvature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.rules.conjugate_gradient import conjugate_gradient
from gdlab.rules.gauss_newton import gauss_newton
from gdlab.rules.gd import gd
from gdlab.rules.hessian_products import gauss_newton_product
from gdlab.rules.lbfgs import _product, lbfgs
from gdlab.rules.levenberg_marquardt import levenberg_marquardt
from gdlab.rules.natural_gradient import natural_gradient
from gdlab.rules.newton import newton
from tests.rules.functional_runs import CURVATURE, START, bowl, descend, extras_of, least_squares, strict_saddle, valley


@pytest.mark.parametrize("dense", [False, True], ids=["products", "dense"])
def test_newton_minimises_a_quadratic_in_one_step(dense, x64):
    path = descend(newton(damping=0.0, dense=dense), bowl, jnp.asarray(START), 1)
    np.testing.assert_allclose(path[1], 0.0, atol=1e-12)


def test_newton_is_invariant_to_a_linear_change_of_coordinates(x64):
    """On f(M y) from M y = x, the path is the same."""
    matrix = jnp.asarray(np.random.default_rng(5).normal(size=(2, 2)))
    x = jnp.asarray([-0.5, 1.5])
    there = descend(newton(damping=0.0, dense=True), valley, x, 4)
    here = descend(newton(damping=0.0, dense=True), lambda y: valley(matrix @ y), jnp.linalg.solve(matrix, x), 4)
    np.testing.assert_allclose(here @ np.asarray(matrix).T, there, rtol=1e-8)


def test_newton_at_a_saddle_descends_by_default_and_moves_to_it_if_dense(x64):
    x = jnp.asarray([1.0, 0.3])
    assert strict_saddle(descend(newton(damping=0.0), strict_saddle, x, 1)[1]) < strict_saddle(x)
    np.testing.assert_allclose(descend(newton(damping=0.0, dense=True), strict_saddle, x, 1)[1], 0.0, atol=1e-12)


def test_second_order_rules_with_large_damping_are_gradient_descent(x64):
    x = jnp.asarray(START)
    for make in (newton, gauss_newton, natural_gradient):
        rule = make(lr=1e7, damping=1e8)
        given = {**extras_of(bowl, x), "outputs_fn": lambda x: x, "criterion_fn": bowl}
        np.testing.assert_allclose(rule.update(x, rule.init(x), x, **given)[0], -0.1 * x, rtol=1e-6)


@pytest.mark.parametrize("make", [gauss_newton, natural_gradient])
def test_gauss_newton_solves_least_squares_in_one_step(make, x64):
    outputs, criterion, solution = least_squares()
    x, rule = jnp.asarray(START), make(lr=1.0, damping=0.0)
    g = jax.grad(lambda x: criterion(outputs(x)))(x)
    updates, _ = rule.update(g, rule.init(x), x, outputs_fn=outputs, criterion_fn=criterion)
    np.testing.assert_allclose(x + updates, solution, rtol=1e-9)


def test_gauss_newton_is_newton_for_linear_outputs(x64):
    """For any criterion: here log(1 + exp(z))."""
    m = jnp.asarray(np.random.default_rng(6).normal(size=(9, 5)))
    x = jnp.asarray(START)

    def criterion(z):
        return jnp.sum(jax.nn.softplus(z))

    def loss(x):
        return criterion(m @ x)

    g, given = jax.grad(loss)(x), {**extras_of(loss, x), "outputs_fn": lambda x: m @ x, "criterion_fn": criterion}
    ours, newtons = (make(damping=0.1).update(g, make().init(x), x, **given)[0] for make in (gauss_newton, newton))
    np.testing.assert_allclose(ours, newtons, rtol=1e-9)


def test_gauss_newton_product_is_the_fisher_information_of_a_softmax_model(x64):
    """The mean over examples of E[score score'], with labels from the model, not the data; with a hidden layer."""
    draw = np.random.default_rng(7)
    inputs, labels = jnp.asarray(draw.normal(size=(6, 3))), jnp.asarray(draw.integers(0, 4, 6))
    x = jnp.asarray(draw.normal(size=24))

    def outputs(x):
        return jnp.tanh(inputs @ x[:12].reshape(3, 4)) @ x[12:].reshape(3, 4)[jnp.asarray([0, 1, 2, 0])]

    def criterion(z):
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), labels[:, None], axis=1))

    scores = jax.jacobian(lambda x: jax.nn.log_softmax(outputs(x)))(x)  # [6, 4, 24]
    chances = jax.nn.softmax(outputs(x))
    fisher = jnp.einsum("nc,nci,ncj->ij", chances, scores, scores) / 6
    product = gauss_newton_product(outputs, criterion, x)
    np.testing.assert_allclose(jax.vmap(product)(jnp.eye(24)), fisher, rtol=1e-9, atol=1e-12)


def test_natural_gradient_is_invariant_to_the_parametrisation_of_the_model(x64):
    """To first order in lr: the outputs change equally for parameters x and y with x = sinh(y)."""
    outputs, criterion, _ = least_squares()
    x, y = jnp.asarray(START), jnp.arcsinh(jnp.asarray(START))

    def moved(model, at):
        rule = natural_gradient(lr=1e-6, damping=0.0)
        g = jax.grad(lambda x: criterion(model(x)))(at)
        updates, _ = rule.update(g, rule.init(at), at, outputs_fn=model, criterion_fn=criterion)
        return (model(at + updates) - model(at)) / 1e-6

    np.testing.assert_allclose(moved(lambda y: outputs(jnp.sinh(y)), y), moved(outputs, x), rtol=1e-5)


def test_levenberg_marquardt_damping_after_accepted_and_rejected_steps(x64):
    """Linear residuals: the gain is 1, so mu <- mu / 3. A loss that rises: u = 0, mu <- nu mu, nu <- 2 nu."""
    outputs, criterion, _ = least_squares()
    x, rule = jnp.asarray(START), levenberg_marquardt(damping=0.6)

    def loss(x):
        return criterion(outputs(x))

    model = {"outputs_fn": outputs, "criterion_fn": criterion, "value": loss(x)}
    updates, state = rule.update(jax.grad(loss)(x), rule.init(x), x, **model, value_fn=loss)
    assert loss(x + updates) < loss(x)
    np.testing.assert_allclose([state.damping, state.growth], [0.2, 2.0], rtol=1e-12)
    for worse in (lambda at: model["value"] + 1.0, lambda at: jnp.nan * loss(at)):
        state = rule.init(x)
        for damping, growth in ((1.2, 4.0), (4.8, 8.0), (38.4, 16.0)):
            updates, state = rule.update(jax.grad(loss)(x), state, x, **model, value_fn=worse)
            np.testing.assert_array_equal(updates, 0.0)
            np.testing.assert_allclose([state.damping, state.growth], [damping, growth], rtol=1e-12)


def test_levenberg_marquardt_damping_stays_finite_at_a_minimum():
    """In float32: 200 steps at a minimum, then a batch with another minimum."""
    rule, x = levenberg_marquardt(), jnp.asarray([1.0, -2.0, 0.3])

    def step(carry, y):
        x, state = carry

        def loss(x):
            return criterion(jnp.sin(x))

        def criterion(z):
            return 1.0 + jnp.sum((z - jnp.sin(y)) ** 2) / 2

        model = {"outputs_fn": jnp.sin, "criterion_fn": criterion, "value": loss(x), "value_fn": loss}
        updates, state = rule.update(jax.grad(loss)(x), state, x, **model)
        return (x + updates, state), x

    targets = jnp.repeat(jnp.asarray([[0.9, -1.2, 0.3], [0.5, -0.9, 0.1]]), 200, axis=0)
    (_, state), path = jax.lax.scan(step, (x, rule.init(x)), targets)
    np.testing.assert_allclose(jnp.sin(path[200]), jnp.sin(targets[0]), atol=1e-3)
    np.testing.assert_allclose(jnp.sin(path[220]), jnp.sin(targets[-1]), atol=1e-2)
    assert np.isfinite(state.damping)


@pytest.mark.parametrize("formula", ["polak-ribiere", "fletcher-reeves"])
def test_conjugate_gradient_minimises_a_quadratic_in_n_conjugate_steps(formula, x64):
    path = descend(conjugate_gradient(damping=0.0, formula=formula), bowl, jnp.asarray(START), 5)
    np.testing.assert_allclose(path[5], 0.0, atol=1e-10)
    assert np.linalg.norm(path[4]) > 1e-4
    moves = np.diff(path, axis=0)
    conjugate = moves @ CURVATURE @ moves.T
    scale = np.sqrt(np.diag(conjugate))
    np.testing.assert_allclose(conjugate / np.outer(scale, scale), np.eye(5), atol=1e-8)


def test_conjugate_gradient_with_polak_ribiere_restarts_at_a_repeated_gradient(x64):
    """For the same gradient twice, b = 0 and the second direction is -g; with Fletcher-Reeves it is -2 g."""
    g, x = jnp.asarray([1.0, 2.0]), jnp.zeros(2)
    for formula, times in (("polak-ribiere", 1.0), ("fletcher-reeves", 2.0)):
        rule = conjugate_gradient(formula=formula)
        state = rule.init(x)
        for _ in range(2):
            _, state = rule.update(g, state, x, grad_fn=lambda x: x)
        np.testing.assert_allclose(state.direction, -times * g)


def test_lbfgs_first_step_has_length_at_most_one_and_b_meets_the_secant_equation(x64):
    """The secant equation is B y = s for the last pair."""
    x = jnp.asarray(START)
    rule = lbfgs(line_search=False)
    state = rule.init(x)
    g = jnp.asarray([3.0, 0.0, 4.0, 0.0, 0.0])
    updates, state = rule.update(g, state, x, value=0.0, value_fn=bowl)
    np.testing.assert_allclose(updates, -g / 5)
    y = jnp.asarray([-1.0, 0.5, -0.2, 0.1, 0.0])  # s.y > 0
    updates, state = rule.update(g + y, state, x - g / 5, value=0.0, value_fn=bowl)
    assert state.weights[0] == pytest.approx(float(1 / (-g / 5 @ y)))
    np.testing.assert_allclose(_product(state, y), -g / 5, atol=1e-12)


def test_lbfgs_skips_pairs_of_negative_curvature_and_keeps_history_pairs():
    x = jnp.ones(3)
    rule = lbfgs(line_search=False, history=2)
    state = rule.init(x)
    assert state.weights.shape == (2,)
    for g in (x, 2 * x):  # x moves along -x and the gradient grows: s.y < 0
        updates, state = rule.update(g, state, x, value=0.0, value_fn=jnp.sum)
        x = x + updates
    np.testing.assert_array_equal(state.weights, 0.0)
    for i in range(4):
        _, state = rule.update(x + i, state, x + i, value=0.0, value_fn=jnp.sum)
    assert (np.asarray(state.weights) > 0).all()


def test_lbfgs_minimises_a_quadratic_in_thirty_steps(x64):
    """A gradient norm below 1e-8, where gradient descent at its best lr is above 1e-3."""
    path = descend(lbfgs(), bowl, jnp.asarray(START), 30)
    assert np.linalg.norm(CURVATURE @ path[-1]) < 1e-8
    slow = descend(gd(lr=2 / 10.1), bowl, jnp.asarray(START), 30)
    assert np.linalg.norm(CURVATURE @ slow[-1]) > 1e-3


@pytest.mark.parametrize("make", [newton, gauss_newton, natural_gradient, levenberg_marquardt])
def test_cg_steps_limits_the_conjugate_gradient_iterations(make, x64):
    """One iteration is steepest descent with an exact line search; many give the solution."""
    outputs, criterion, solution = least_squares()
    x = jnp.asarray(START)

    def loss(x):
        return criterion(outputs(x))

    g, hessian = jax.grad(loss)(x), jax.hessian(loss)(x)
    given = {**extras_of(loss, x), "outputs_fn": outputs, "criterion_fn": criterion}
    rule = make(lr=1.0, damping=0.0, cg_steps=1)
    updates, _ = rule.update(g, rule.init(x), x, **given)
    np.testing.assert_allclose(updates, -(g @ g) / (g @ hessian @ g) * g, rtol=1e-9)
    rule = make(lr=1.0, damping=0.0, cg_steps=20)
    np.testing.assert_allclose(x + rule.update(g, rule.init(x), x, **given)[0], solution, rtol=1e-8)
