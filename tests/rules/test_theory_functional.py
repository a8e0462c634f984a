"""Closed-form properties of the rules that need extra arguments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.rules.armijo import armijo
from gdlab.rules.barzilai_borwein import barzilai_borwein
from gdlab.rules.conjugate_gradient import conjugate_gradient
from gdlab.rules.extragradient import extragradient
from gdlab.rules.gauss_newton import gauss_newton
from gdlab.rules.gd import gd
from gdlab.rules.hessian_products import gauss_newton_product
from gdlab.rules.lbfgs import _product, lbfgs
from gdlab.rules.levenberg_marquardt import levenberg_marquardt
from gdlab.rules.linear_solve import conjugate_gradients, direct
from gdlab.rules.natural_gradient import natural_gradient
from gdlab.rules.newton import newton
from gdlab.rules.optimistic import optimistic
from gdlab.rules.perturbed_gd import perturbed_gd
from gdlab.rules.polyak import polyak
from gdlab.rules.sgld import sgld
from gdlab.rules.svrg import svrg

_draw = np.random.default_rng(3)
_turn, _ = np.linalg.qr(_draw.normal(size=(5, 5)))
CURVATURE = _turn @ np.diag([0.1, 0.5, 1.0, 4.0, 10.0]) @ _turn.T
START = _draw.normal(size=5)


def extras_of(f, x, key=None):
    return {
        "value": f(x),
        "value_fn": f,
        "grad_fn": jax.grad(f),
        "full_grad_fn": jax.grad(f),
        "key": key,
        "step": jnp.asarray(0, jnp.int32),
    }


def bowl(x):
    """The quadratic 1/2 x' H x, in the dtype of x."""
    return 0.5 * x @ jnp.asarray(CURVATURE, x.dtype) @ x


def descend(rule, f, x, steps, grad=None, seed=0):
    """The points [steps + 1, n] of a run on f, with the vector field `grad`, if given, in place of its gradient."""
    field = grad or jax.grad(f)

    def step(carry, t):
        x, state = carry
        key = jax.random.fold_in(jax.random.key(seed), t)
        given = extras_of(f, x, key) | {"grad_fn": field, "step": t}
        updates, state = rule.update(field(x), state, x, **given)
        return (x + updates, state), x

    (end, _), path = jax.lax.scan(step, (x, rule.init(x)), jnp.arange(steps, dtype=jnp.int32))
    return np.concatenate([path, end[None]])


def test_polyak_step_is_half_of_newtons_on_a_sphere_and_zero_at_or_below_f_min():
    """On |x|^2 / 2 the step size is lr / 2 everywhere."""
    x = jnp.asarray([3.0, -1.0])
    for lr in (0.5, 1.0, 2.0):
        rule = polyak(lr=lr, max_step=np.inf)
        updates, _ = rule.update(x, rule.init(x), value=jnp.sum(x**2) / 2)
        np.testing.assert_allclose(updates, -lr / 2 * x, rtol=1e-6)
    rule = polyak(f_min=6.0)
    np.testing.assert_array_equal(rule.update(x, rule.init(x), value=5.0)[0], 0.0)
    np.testing.assert_array_equal(polyak().update(0 * x, rule.init(x), value=5.0)[0], 0.0)


def test_polyak_step_never_increases_the_distance_to_the_minimiser(x64):
    """|x_{t+1} - x*| <= |x_t - x*| for a convex loss with a known minimum, smooth or not: here the sum of |x_i|."""
    path = descend(polyak(max_step=np.inf), lambda x: jnp.sum(jnp.abs(x)), jnp.asarray(START), 200)
    distance = np.linalg.norm(path, axis=1)
    assert (np.diff(distance) <= 1e-15).all()
    assert distance[-1] < 1e-6 * distance[0]


def saddle(x):
    """The game x y: the first player descends, the second ascends."""
    return jnp.stack([x[1], -x[0]])


@pytest.mark.parametrize(
    ("rule", "modulus"),
    [
        (gd(lr=0.3), np.sqrt(1 + 0.3**2)),
        (extragradient(lr=0.3), np.sqrt((1 - 0.3**2) ** 2 + 0.3**2)),
        (extragradient(lr=0.3, ahead=0.0), np.sqrt(1 + 0.3**2)),
        (optimistic(lr=0.3), np.max(np.abs(np.roots([1, -1 + 0.6j, -0.3j])))),
    ],
    ids=["gd", "extragradient", "ahead=0", "optimistic"],
)
def test_rules_spiral_on_the_bilinear_game_at_the_known_rate(rule, modulus, x64):
    """The moduli of the eigenvalues: 1 - i lr; 1 - lr^2 - i lr; the roots of z^2 - (1 - 2 i lr) z - i lr."""
    path = descend(rule, lambda x: x[0] * x[1], jnp.asarray([1.0, 0.0]), 300, grad=saddle)
    radius = np.linalg.norm(path, axis=1)
    assert (radius[300] / radius[200]) ** (1 / 100) == pytest.approx(modulus, rel=2e-4)
    assert (modulus < 1) == (radius[-1] < 1)


def test_optimistic_with_optimism_zero_is_gradient_descent():
    x = jnp.asarray(START, jnp.float32)
    np.testing.assert_array_equal(
        descend(optimistic(lr=0.1, optimism=0.0), bowl, x, 9), descend(gd(lr=0.1), bowl, x, 9)
    )


@pytest.mark.parametrize("formula", ["long", "short"])
def test_barzilai_borwein_second_step_reaches_the_minimum_of_a_sphere(formula):
    """On a sphere of curvature c the second step size is 1 / c for any first step, and reaches the minimum."""
    x = jnp.asarray(START, jnp.float32)
    path = descend(barzilai_borwein(first_step=0.03, formula=formula), lambda x: 2.5 * jnp.sum(x**2), x, 2)
    np.testing.assert_allclose(path[1], (1 - 0.03 * 5) * path[0], rtol=1e-6)
    np.testing.assert_allclose(path[2], 0.0, atol=1e-6)


def test_barzilai_borwein_long_step_exceeds_the_short_one_and_both_are_bounded():
    def second(**numbers):
        path = descend(barzilai_borwein(first_step=0.02, **numbers), bowl, jnp.asarray(START, jnp.float32), 2)
        return np.linalg.norm(path[2] - path[1]) / np.linalg.norm(CURVATURE @ path[1])

    long, short = second(formula="long"), second(formula="short")
    assert 0.1 < short < long < 10
    assert second(max_step=0.05) == pytest.approx(0.05, rel=1e-5)
    assert second(min_step=0.9, max_step=5.0) == pytest.approx(0.9, rel=1e-5)
    # For negative curvature, the largest step.
    concave = descend(barzilai_borwein(first_step=0.1, max_step=3.0), lambda x: -jnp.sum(x**2) / 2, jnp.ones(1), 2)
    np.testing.assert_allclose(concave[2] - concave[1], 3.0 * concave[1], rtol=1e-6)


def test_sgld_has_the_variance_of_the_stationary_distribution():
    """On x^2 / 2 the chain is x <- (1 - lr) x + sqrt(2 lr T) xi, whose variance is T / (1 - lr / 2)."""
    x = jnp.zeros(2000)
    end = descend(sgld(lr=0.2, temperature=0.3), lambda x: jnp.sum(x**2) / 2, x, 200)[-1]
    assert np.var(end) == pytest.approx(0.3 / 0.9, rel=0.1)
    assert abs(np.mean(end)) < 0.05
    cold = descend(sgld(lr=0.2, temperature=0.0), bowl, jnp.asarray(START, jnp.float32), 9)
    np.testing.assert_allclose(cold, descend(gd(lr=0.2), bowl, jnp.asarray(START, jnp.float32), 9), rtol=1e-4)


def test_svrg_is_full_gradient_descent_for_batches_with_a_constant_offset(x64):
    """Batches f_t = |x - c_t|^2 / 2: the c_t cancel, so each step is one of gradient descent on the full loss."""
    centres = jnp.asarray(_draw.normal(size=(40, 5)))
    mean = centres.mean(0)
    x, rule = jnp.asarray(START), svrg(lr=0.3, period=7)
    state = rule.init(x)
    for t in range(40):
        g = {"grad_fn": lambda x, t=t: x - centres[t], "full_grad_fn": lambda x: x - mean, "step": t}
        updates, state = rule.update(x - centres[t], state, x, **g)
        np.testing.assert_allclose(updates, -0.3 * (x - mean), rtol=1e-10, atol=1e-14)
        x = x + updates
    np.testing.assert_allclose(x, mean, atol=1e-5)


def test_svrg_uses_the_full_gradient_at_the_last_snapshot():
    """For batch gradients of 0, all steps of a period use the full gradient at its first point."""

    def run(period):
        x, rule, path = jnp.ones(()), svrg(lr=0.5, period=period), []
        state = rule.init(x)
        for t in range(4):
            given = {"grad_fn": jnp.zeros_like, "full_grad_fn": lambda x: x, "step": t}
            updates, state = rule.update(jnp.zeros(()), state, x, **given)
            x = x + updates
            path.append(float(x))
        return path

    assert run(1) == [0.5, 0.25, 0.125, 0.0625]
    assert run(2) == [0.5, 0.0, 0.0, 0.0]
    assert run(3) == [0.5, 0.0, -0.5, -0.25]


def strict_saddle(x):
    return x[0] ** 2 - x[1] ** 2


def test_perturbed_gd_leaves_the_saddle_point_where_gradient_descent_stays():
    """x^2 - y^2 from (1, 0): gradient descent stays on the x axis; after the noise |y| grows by 1.2 per step."""
    x = jnp.asarray([1.0, 0.0])
    stuck = descend(gd(lr=0.1), strict_saddle, x, 200)[-1]
    assert stuck[1] == 0.0
    assert abs(stuck[0]) < 1e-6
    path = descend(perturbed_gd(lr=0.1), strict_saddle, x, 200)
    assert strict_saddle(path[-1]) < -1e3
    first = int(np.flatnonzero(path[:, 1])[0])
    assert 2 * abs(path[first - 1, 0]) <= 1e-3 < 2 * abs(path[first - 2, 0])  # as soon as |g| <= threshold
    assert np.linalg.norm(path[first] / [0.8, 1.2] - [path[first - 1, 0], 0]) <= 1e-3  # by at most radius


def test_perturbed_gd_noise_is_uniform_in_a_ball_and_waits():
    """(|xi| / r)^d is uniform on [0, 1]; a constant loss is perturbed every wait + 1 steps."""
    x = {"a": jnp.zeros((2,)), "b": jnp.zeros(())}
    rule = perturbed_gd(radius=2.0, wait=0)

    def draw(seed):
        xi, _ = rule.update(x, rule.init(x), x, grad_fn=lambda x: x, key=jax.random.key(seed))
        return jnp.concatenate([xi["a"], xi["b"][None]]) / (1 - 0.1)

    draws = np.asarray(jax.vmap(draw)(jnp.arange(4000))) / 2
    volume = np.sort(np.linalg.norm(draws, axis=1) ** 3)
    np.testing.assert_allclose(volume, (np.arange(4000) + 0.5) / 4000, atol=0.03)
    np.testing.assert_allclose(draws.mean(0), 0.0, atol=0.03)
    flat = descend(perturbed_gd(wait=3), lambda x: 0 * jnp.sum(x), jnp.zeros(2), 12)
    moved = np.any(np.diff(flat, axis=0) != 0, axis=1)
    np.testing.assert_array_equal(np.flatnonzero(moved), [0, 4, 8])


def test_armijo_takes_the_first_length_that_meets_the_condition():
    """On c x^2 / 2 the condition is a <= 2 (1 - slope) / c; u = 0 if no trial meets it."""
    for c, slope in ((1.0, 1e-4), (30.0, 1e-4), (30.0, 0.4)):
        rule = armijo(lr=4.0, shrink=0.7, slope=slope)
        x = jnp.asarray(2.0)
        updates, _ = rule.update(c * x, rule.init(x), x, value=c * x**2 / 2, value_fn=lambda x, c=c: c * x**2 / 2)
        lengths = 4.0 * 0.7 ** np.arange(30)
        expected = lengths[lengths <= 2 * (1 - slope) / c][0]
        assert float(-updates / (c * x)) == pytest.approx(expected, rel=1e-5)
    rule = armijo(lr=4.0, shrink=0.7, tries=3)
    assert rule.update(30 * x, rule.init(x), x, value=15 * x**2, value_fn=lambda x: 15 * x**2)[0] == 0


def valley(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


@pytest.mark.parametrize("rule", [armijo(lr=10.0), lbfgs()], ids=["armijo", "lbfgs"])
def test_line_searches_never_increase_the_loss(rule, x64):
    path = descend(rule, valley, jnp.asarray([-1.2, 1.0]), 100)
    values = np.asarray(jax.vmap(valley)(path))
    assert (np.diff(values) <= 0).all()
    assert values[-1] < 0.2 * values[0]


def test_armijo_rejects_a_loss_that_is_nan():
    x = jnp.asarray(1.0)
    updates, _ = armijo(lr=4.0).update(
        x, armijo().init(x), x, value=0.5, value_fn=lambda x: jnp.where(x < 0, jnp.nan, x**2 / 2)
    )
    assert updates == -1.0


@pytest.mark.parametrize("dense", [False, True], ids=["products", "dense"])
def test_newton_minimises_a_quadratic_in_one_step(dense, x64):
    path = descend(newton(damping=0.0, dense=dense), bowl, jnp.asarray(START), 1)
    np.testing.assert_allclose(path[1], 0.0, atol=1e-12)


def test_newton_is_invariant_to_a_linear_change_of_coordinates(x64):
    """On f(M y) from M y = x, the path is the same."""
    matrix = jnp.asarray(_draw.normal(size=(2, 2)))
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


def least_squares():
    """Residuals M x - y, half their sum of squares, and its minimiser."""
    m, y = jnp.asarray(_draw.normal(size=(9, 5))), jnp.asarray(_draw.normal(size=9))
    return (lambda x: m @ x - y), (lambda z: 0.5 * jnp.sum(z**2)), np.linalg.lstsq(m, y, rcond=None)[0]


@pytest.mark.parametrize("make", [gauss_newton, natural_gradient])
def test_gauss_newton_solves_least_squares_in_one_step(make, x64):
    outputs, criterion, solution = least_squares()
    x, rule = jnp.asarray(START), make(lr=1.0, damping=0.0)
    g = jax.grad(lambda x: criterion(outputs(x)))(x)
    updates, _ = rule.update(g, rule.init(x), x, outputs_fn=outputs, criterion_fn=criterion)
    np.testing.assert_allclose(x + updates, solution, rtol=1e-9)


def test_gauss_newton_is_newton_for_linear_outputs(x64):
    """For any criterion: here log(1 + exp(z))."""
    m = jnp.asarray(_draw.normal(size=(9, 5)))
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
    inputs, labels = jnp.asarray(_draw.normal(size=(6, 3))), jnp.asarray(_draw.integers(0, 4, 6))
    x = jnp.asarray(_draw.normal(size=24))

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
