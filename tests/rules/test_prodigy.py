"""Closed-form properties of Prodigy."""

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.rules.adam import adam
from gdlab.rules.prodigy import prodigy
from tests.rules.rule_cases import gradients, trajectory

CURVATURE = np.array([0.5, 1.0, 2.0, 4.0])
START = np.array([3.0, -5.0, 1.0, 8.0])  # the minimiser is 0


def descent(rule, steps, start=START):
    """The final point, and the updates and states of every step, on a quadratic."""

    def step(carry, _):
        x, state = carry
        updates, state = rule.update(jnp.asarray(CURVATURE, x.dtype) * x, state, x)
        return (x + updates, state), (updates, state)

    x = jnp.asarray(start, jnp.result_type(float))
    (x, _), (updates, states) = jax.lax.scan(step, (x, rule.init(x)), length=steps)
    return x, updates, states


def test_prodigy_starts_with_a_sign_step_of_the_first_distance():
    g, x = jnp.asarray([3.0, -1e-4, 20.0]), jnp.ones(3)
    plain, corrected = (prodigy(lr=0.5, b1=0.9, b2=0.99, eps=0.0, first_distance=0.01, corrected=c) for c in (0, 1))
    np.testing.assert_allclose(corrected.update(g, corrected.init(x), x)[0], -0.005 * np.sign(g), rtol=1e-5)
    # m is 0.1 g and v is 0.01 g^2, so sqrt(v) is 0.1 |g|.
    np.testing.assert_allclose(plain.update(g, plain.init(x), x)[0], -0.005 * np.sign(g), rtol=1e-5)


def test_prodigy_estimate_grows_towards_the_distance_and_stays_below_it():
    """For convex f, r <= |s|_1 max|x0 - x*|, because g.(x - x*) >= 0 at every step."""
    for corrected in (False, True):
        distances = descent(prodigy(first_distance=1e-6, corrected=corrected), 400)[2].distance
        assert (np.diff(distances) >= 0).all()
        assert distances[-1] <= np.abs(START).max()
        assert distances[-1] > 0.1 * np.abs(START).max()


def test_prodigy_converges_from_any_distance_without_tuning(x64):
    for far in (1e-2, 1.0, 1e3):
        x, _, _ = descent(prodigy(), 2000, far * START)
        assert np.abs(x).max() < 1e-2 * far


def test_prodigy_does_not_move_if_its_first_step_is_lost_in_rounding():
    x, _, states = descent(prodigy(), 50, 1e3 * START)
    np.testing.assert_array_equal(x, 1e3 * START)
    np.testing.assert_array_equal(states.distance, np.float32(1e-6))
    assert descent(prodigy(first_distance=1e-2), 50, 1e3 * START)[2].distance[-1] > 1.0


def test_prodigy_with_a_first_distance_beyond_the_minimiser_equals_adam():
    """The estimate never grows beyond the distance, so d stays constant, and Adam's lr is lr d."""
    numbers = {"b1": 0.8, "b2": 0.99, "eps": 0.0}
    _, updates, states = descent(prodigy(lr=0.25, first_distance=8.0, corrected=True, **numbers), 20)
    np.testing.assert_array_equal(states.distance, 8.0)
    np.testing.assert_allclose(updates, descent(adam(lr=2.0, **numbers), 20)[1], rtol=1e-4, atol=1e-5)


def test_prodigy_does_not_depend_on_the_unit_of_the_loss():
    g, x = gradients(6, seed=4)
    rule = prodigy(eps=0.0, first_distance=0.1, b2=0.9)
    updates, _ = trajectory(rule, jnp.asarray(x, jnp.float32), grads=jnp.asarray(g, jnp.float32))
    scaled, _ = trajectory(rule, jnp.asarray(x, jnp.float32), grads=jnp.asarray(1000 * g, jnp.float32))
    np.testing.assert_allclose(scaled, updates, rtol=1e-4)


def test_prodigy_uses_gradients_whose_squares_would_underflow():
    """With d0 = 1e-6, (d g)^2 is at most 1e-44 here."""
    x = jnp.asarray(START, jnp.float32)
    rule = prodigy(eps=0.0)
    state = rule.init(x)
    for _ in range(60):
        updates, state = rule.update(1e-16 * x, state, x)
        x = x + updates
    assert state.distance > 1e-5


def test_prodigy_does_not_move_without_a_gradient():
    x = jnp.asarray([1.0, -2.0])
    for rule in (prodigy(), prodigy(eps=0.0, corrected=True)):
        updates, state = rule.update(jnp.zeros(2), rule.init(x), x)
        np.testing.assert_array_equal(updates, 0.0)
        assert state.distance == np.float32(1e-6)
