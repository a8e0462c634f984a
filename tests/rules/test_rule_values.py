"""What each rule computes: against its paper in NumPy, against optax, and what its formula says in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from gdlab import register
from gdlab.rules import adam, adamw, gd, momentum, momentum_ema, nesterov, rmsprop
from tests.rules.rule_cases import ENTRIES, every_entry, every_rule, gradients, some_rules, trajectory
from tests.rules.rule_references import OPTAX, REFERENCES

STEPS = 5


def test_every_rule_has_a_reference():
    assert {entry.kind for entry in ENTRIES} == set(REFERENCES)


@every_rule
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-11), (np.float32, 2e-4)], ids=["f64", "f32"])
def test_updates_are_those_of_the_paper(case, dtype, tolerance):
    g, x = gradients(STEPS)
    with jax.enable_x64(dtype == np.float64):
        grads, params = jnp.asarray(g, dtype), jnp.asarray(x, dtype)
        given = None if case.needs else grads
        run = jax.jit(lambda values: trajectory(case(**values), params, steps=STEPS, grads=given)[0])
        for part in (0.3, 0.8):
            values = case.at(part)
            expected = REFERENCES[case.entry.kind](STEPS if case.needs else g, x, **values, **case.switches)
            # Compared with the coordinate's largest update: a difference of averages cancels.
            scale = np.abs(expected).max(0)
            updates = np.asarray(run(values))
            np.testing.assert_allclose(updates / scale, expected / scale, rtol=0, atol=tolerance, err_msg=str(part))


def theirs(kind):
    return getattr(optax, kind, None) or getattr(optax.contrib, kind, None)


@every_entry
def test_a_rule_that_optax_has_stands_beside_it_or_says_why_not(entry):
    paired = entry.kind in {name.partition(",")[0] for name in OPTAX}
    name = entry.info.get("optax", entry.kind if theirs(entry.kind) else None)
    assert paired == (name is not None)
    if name is not None:
        assert theirs(name) is not None


@pytest.mark.smoke
@pytest.mark.parametrize("name", OPTAX)
def test_updates_are_those_of_optax(name):
    values, their_rule = OPTAX[name]
    entry = register.rules[name.partition(",")[0]]
    needs = set(entry.info.get("needs", ())) - {"params"}
    g, x = gradients(STEPS, seed=1)
    grads, params = None if needs else jnp.asarray(g, jnp.float32), jnp.asarray(x, jnp.float32)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        expected, _ = trajectory(optax.with_extra_args_support(their_rule), params, steps=STEPS, grads=grads)
    updates, _ = trajectory(entry.make(**values), params, steps=STEPS, grads=grads)
    np.testing.assert_allclose(updates, expected, rtol=2e-4, atol=1e-6 * np.abs(expected).max())


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
    average, _ = trajectory(momentum_ema(lr=0.5, beta=0.9), x, grads=g)
    summed, _ = trajectory(momentum(lr=0.05, beta=0.9), x, grads=g)
    np.testing.assert_allclose(average, summed, rtol=1e-4)


def test_without_momentum_both_momenta_are_gradient_descent():
    g, x = gradients(STEPS, seed=3)
    g, x = jnp.asarray(g, jnp.float32), jnp.asarray(x, jnp.float32)
    expected, _ = trajectory(gd(lr=0.5), x, grads=g)
    for rule in (momentum(lr=0.5, beta=0.0), nesterov(lr=0.5, beta=0.0)):
        np.testing.assert_array_equal(trajectory(rule, x, grads=g)[0], expected)


def test_a_steady_gradient_has_no_variance():
    """Rounding leaves v - m^2 on either side of 0; the update is lr g / eps, and never NaN."""
    g = jnp.full((200, 2, 3), 0.3)
    updates, _ = trajectory(rmsprop(lr=1.0, decay=0.5, eps=1e-2, centred=True), jnp.zeros((2, 3)), grads=g)
    assert np.isfinite(updates).all()
    np.testing.assert_allclose(updates[-1], np.full((2, 3), -30.0), rtol=0.05)


@some_rules(lambda case: case.scope == "coordinate" and not case.needs)
def test_a_coordinate_without_a_gradient_does_not_move(case):
    g = jnp.zeros((3, 2, 3)).at[:, 1].set(1.0)
    updates, _ = trajectory(case(**case.defaults), jnp.zeros((2, 3)), grads=g)
    np.testing.assert_array_equal(updates[:, 0], 0.0)
    assert (updates[:, 1] < 0).all()
