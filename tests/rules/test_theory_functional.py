"""Closed-form properties of the rules that need extra arguments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.rules.armijo import armijo
from gdlab.rules.barzilai_borwein import barzilai_borwein
from gdlab.rules.extragradient import extragradient
from gdlab.rules.gd import gd
from gdlab.rules.lbfgs import lbfgs
from gdlab.rules.optimistic import optimistic
from gdlab.rules.perturbed_gd import perturbed_gd
from gdlab.rules.polyak import polyak
from gdlab.rules.sgld import sgld
from gdlab.rules.svrg import svrg
from tests.rules.functional_runs import CURVATURE, START, bowl, descend, strict_saddle, valley


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
    centres = jnp.asarray(np.random.default_rng(4).normal(size=(40, 5)))
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
