"""The shared formulas of moving averages, against sums over the whole past and against optax."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gdlab.rules.moments import (
    adam_direction,
    adam_preconditioner,
    bias_correction,
    init_moments,
    init_velocity,
    moving_average,
    update_moment,
    update_moments,
    update_velocity,
)

G = np.random.default_rng(0).normal(size=(6, 2, 3))
AGES = np.arange(6)[::-1]


@pytest.mark.usefixtures("x64")
def test_update_moments_gives_the_weighted_sums_over_all_gradients():
    state = init_moments(jnp.zeros((2, 3)))
    for g in jnp.asarray(G):
        state = update_moments(g, state, b1=0.8, b2=0.9)
    assert state.count == 6
    np.testing.assert_allclose(state.mu, np.tensordot(0.2 * 0.8**AGES, G, 1), rtol=1e-12)
    np.testing.assert_allclose(state.nu, np.tensordot(0.1 * 0.9**AGES, G**2, 1), rtol=1e-12)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("order", [1, 2])
def test_update_moment_and_bias_correction_equal_those_of_optax(order):
    moment, theirs = jnp.zeros((2, 3)), jnp.zeros((2, 3))
    for g in jnp.asarray(G):
        moment = update_moment(g, moment, order=order, b2=0.9)
        theirs = optax.tree.update_moment(g, theirs, 0.9, order)
    np.testing.assert_allclose(moment, theirs, rtol=1e-12)
    np.testing.assert_allclose(
        bias_correction(moment, 0.9, 6), optax.tree.bias_correction(theirs, 0.9, jnp.asarray(6.0)), rtol=1e-12
    )


@pytest.mark.usefixtures("x64")
def test_update_velocity_gives_the_weighted_sum_over_all_gradients():
    velocity = init_velocity(jnp.zeros((2, 3))).velocity
    for g in jnp.asarray(G):
        velocity = update_velocity(g, velocity, beta=0.8)
    np.testing.assert_allclose(velocity, np.tensordot(0.8**AGES, G, 1), rtol=1e-12)


@pytest.mark.parametrize("update", [update_moment, update_velocity])
def test_update_names_the_decay_by_the_rules_own_name_in_errors(update):
    with pytest.raises(ValueError, match=r"^rho must be one number"):
        update(jnp.ones(2), jnp.ones(2), rho=jnp.ones(2))


@pytest.mark.usefixtures("x64")
def test_adam_direction_is_the_first_moment_over_the_preconditioner():
    m, v, t = jnp.asarray(G[0]), jnp.asarray(G[1] ** 2), jnp.asarray(3.0)
    numbers = {"b1": 0.8, "b2": 0.9, "eps": 1e-3}
    expected = (G[0] / (1 - 0.8**3)) / (np.sqrt(G[1] ** 2 / (1 - 0.9**3)) + 1e-3)
    np.testing.assert_allclose(adam_direction(m, v, t, **numbers), expected, rtol=1e-12)
    np.testing.assert_allclose(m / adam_preconditioner(v, t, **numbers), expected, rtol=1e-12)


def test_moving_average_of_equal_numbers_is_that_number():
    np.testing.assert_allclose(moving_average(jnp.asarray(3.0), jnp.asarray(3.0), jnp.asarray(0.9)), 3.0, rtol=1e-6)
