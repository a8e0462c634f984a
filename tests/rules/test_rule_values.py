"""What each rule computes: against its paper in NumPy, against optax, and what its formula says in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from rule_cases import ENTRIES, every_rule, gradients, trajectory
from rule_references import REFERENCES

from gdlab.rules import adam, adamw, gd, momentum, momentum_ema, nesterov, rmsprop

STEPS = 5


def test_every_rule_has_a_reference():
    assert {entry.kind for entry in ENTRIES} == set(REFERENCES)


@every_rule
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-11), (np.float32, 2e-4)], ids=["f64", "f32"])
def test_updates_are_those_of_the_paper(case, dtype, tolerance):
    g, x = gradients(STEPS)
    with jax.enable_x64(dtype == np.float64):
        grads, params = jnp.asarray(g, dtype), jnp.asarray(x, dtype)
        run = jax.jit(lambda values: trajectory(case(**values), grads, params)[0])
        for part in (0.3, 0.8):
            values = case.at(part)
            expected = REFERENCES[case.entry.kind](g, x, **values, **case.switches)
            # Compared with the coordinate's largest update: a difference of averages cancels.
            scale = np.abs(expected).max(0)
            updates = np.asarray(run(values))
            np.testing.assert_allclose(updates / scale, expected / scale, rtol=0, atol=tolerance, err_msg=str(part))


PAIRS = {
    "gd": ({"lr": 0.3}, optax.sgd(0.3)),
    "momentum": ({"lr": 0.3, "beta": 0.8}, optax.sgd(0.3, momentum=0.8)),
    "momentum_ema": ({"lr": 0.3, "beta": 0.8}, optax.chain(optax.ema(0.8, debias=False), optax.scale(-0.3))),
    "nesterov": ({"lr": 0.3, "beta": 0.8}, optax.sgd(0.3, momentum=0.8, nesterov=True)),
    # Optax adds eps inside the root; with none the two are the same.
    "adagrad": ({"lr": 0.3, "eps": 0.0, "initial_accumulator": 0.2}, optax.adagrad(0.3, 0.2, eps=0.0)),
    "rmsprop": ({"lr": 0.3, "decay": 0.7, "eps": 1e-3}, optax.rmsprop(0.3, 0.7, eps=1e-3, eps_in_sqrt=False)),
    "rmsprop, eps inside": ({"lr": 0.3, "decay": 0.7, "eps": 1e-3, "eps_inside": True}, optax.rmsprop(0.3, 0.7, 1e-3)),
    "rmsprop, centred": (
        {"lr": 0.3, "decay": 0.7, "eps": 1e-3, "eps_inside": True, "centred": True},
        optax.rmsprop(0.3, 0.7, 1e-3, centered=True),
    ),
    "adam": ({"lr": 0.3, "b1": 0.8, "b2": 0.95, "eps": 1e-3}, optax.adam(0.3, 0.8, 0.95, 1e-3)),
    "adamw": (
        {"lr": 0.3, "b1": 0.8, "b2": 0.95, "eps": 1e-3, "weight_decay": 0.2},
        optax.adamw(0.3, 0.8, 0.95, 1e-3, weight_decay=0.2),
    ),
}


def test_every_rule_stands_beside_optax():
    assert {name.partition(",")[0] for name in PAIRS} == {entry.kind for entry in ENTRIES}


@pytest.mark.parametrize("name", PAIRS)
def test_updates_are_those_of_optax(name):
    values, theirs = PAIRS[name]
    entry = next(entry for entry in ENTRIES if entry.kind == name.partition(",")[0])
    g, x = gradients(STEPS, seed=1)
    grads, params = jnp.asarray(g, jnp.float32), jnp.asarray(x, jnp.float32)
    with jax.numpy_dtype_promotion("standard"):
        expected, _ = trajectory(theirs, grads, params)
    updates, _ = trajectory(entry.make(**values), grads, params)
    np.testing.assert_allclose(updates, expected, rtol=2e-4)


def test_the_first_step_of_adam_is_the_sign():
    g = jnp.asarray([3.0, -1e-4, 20.0])
    updates, _ = adam(lr=0.25, eps=0.0).update(g, adam().init(g))
    np.testing.assert_allclose(updates, -0.25 * np.sign(g), rtol=1e-5)


def test_adamw_shrinks_what_has_no_gradient_and_needs_the_parameters():
    x, zero = jnp.asarray([2.0, -4.0]), jnp.zeros(2)
    rule = adamw(lr=0.5, weight_decay=0.25)
    np.testing.assert_allclose(rule.update(zero, rule.init(x), x)[0], [-0.25, 0.5], rtol=1e-6)
    with pytest.raises(ValueError, match="parameters"):
        rule.update(zero, rule.init(x))


def test_the_average_form_is_the_sum_form_at_a_smaller_rate():
    g, x = gradients(STEPS, seed=2)
    g, x = jnp.asarray(g, jnp.float32), jnp.asarray(x, jnp.float32)
    average, _ = trajectory(momentum_ema(lr=0.5, beta=0.9), g, x)
    summed, _ = trajectory(momentum(lr=0.05, beta=0.9), g, x)
    np.testing.assert_allclose(average, summed, rtol=1e-4)


def test_without_momentum_both_momenta_are_gradient_descent():
    g, x = gradients(STEPS, seed=3)
    g, x = jnp.asarray(g, jnp.float32), jnp.asarray(x, jnp.float32)
    expected, _ = trajectory(gd(lr=0.5), g, x)
    for rule in (momentum(lr=0.5, beta=0.0), nesterov(lr=0.5, beta=0.0)):
        np.testing.assert_array_equal(trajectory(rule, g, x)[0], expected)


def test_a_steady_gradient_has_no_variance():
    """Rounding leaves v - m^2 on either side of 0; the update is lr g / eps, and never NaN."""
    g = jnp.full((200, 1), 0.3)
    updates, _ = trajectory(rmsprop(lr=1.0, decay=0.5, eps=1e-2, centred=True), g, jnp.zeros(1))
    assert np.isfinite(updates).all()
    np.testing.assert_allclose(updates[-1], [-30.0], rtol=0.05)


@every_rule
def test_a_coordinate_without_a_gradient_does_not_move(case):
    g = jnp.asarray([[0.0, 1.0]] * 3)
    updates, _ = trajectory(case(**case.defaults), g, jnp.zeros(2))
    np.testing.assert_array_equal(updates[:, 0], 0.0)
    assert (updates[:, 1] < 0).all()
