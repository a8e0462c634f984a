"""The updates of each rule: against its paper in NumPy, against optax, and against closed forms."""

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
def test_updates_equal_the_papers_in_numpy(case, dtype, tolerance):
    g, x = gradients(STEPS)
    with jax.enable_x64(dtype == np.float64):
        grads, params = jnp.asarray(g, dtype), jnp.asarray(x, dtype)
        given = None if case.needs else grads
        run = jax.jit(lambda values: trajectory(case(**values), params, steps=STEPS, grads=given)[0])
        for part in (0.3, 0.8):
            values = case.at(part)
            expected = REFERENCES[case.entry.kind](STEPS if case.needs else g, x, **values, **case.options)
            # Relative to the coordinate's largest update, because differences of averages cancel.
            scale = np.abs(expected).max(0)
            updates = np.asarray(run(values))
            np.testing.assert_allclose(updates / scale, expected / scale, rtol=0, atol=tolerance, err_msg=str(part))


def optax_factory(kind):
    return getattr(optax, kind, None) or getattr(optax.contrib, kind, None)


@every_entry
def test_a_rule_with_a_namesake_in_optax_is_compared_or_registered_as_another(entry):
    paired = entry.kind in {name.partition(",")[0] for name in OPTAX}
    name = entry.info.get("optax", entry.kind if optax_factory(entry.kind) else None)
    assert paired == (name is not None)
    if name is not None:
        assert optax_factory(name) is not None


@pytest.mark.smoke
@pytest.mark.parametrize("name", OPTAX)
def test_updates_equal_those_of_optax(name):
    values, their_rule = OPTAX[name]
    entry = register.rules[name.partition(",")[0]]
    needs = set(entry.info.get("needs", ())) - {"params"}
    g, x = gradients(STEPS, seed=1)
    grads, params = None if needs else jnp.asarray(g, jnp.float32), jnp.asarray(x, jnp.float32)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        expected, _ = trajectory(optax.with_extra_args_support(their_rule), params, steps=STEPS, grads=grads)
    updates, _ = trajectory(entry.make(**values), params, steps=STEPS, grads=grads)
    np.testing.assert_allclose(updates, expected, rtol=2e-4, atol=1e-6 * np.abs(expected).max())


def test_adam_takes_a_first_step_of_the_sign():
    g = jnp.asarray([3.0, -1e-4, 20.0])
    updates, _ = adam(lr=0.25, eps=0.0).update(g, adam().init(g))
    np.testing.assert_allclose(updates, -0.25 * np.sign(g), rtol=1e-5)


def test_adamw_decays_parameters_without_a_gradient():
    x, rule = jnp.asarray([2.0, -4.0]), adamw(lr=0.5, weight_decay=0.25)
    np.testing.assert_allclose(rule.update(jnp.zeros(2), rule.init(x), x)[0], [-0.25, 0.5], rtol=1e-6)


def test_momentum_ema_equals_momentum_at_a_smaller_lr():
    g, x = gradients(STEPS, seed=2)
    g, x = jnp.asarray(g, jnp.float32), jnp.asarray(x, jnp.float32)
    average, _ = trajectory(momentum_ema(lr=0.5, beta=0.9), x, grads=g)
    summed, _ = trajectory(momentum(lr=0.05, beta=0.9), x, grads=g)
    np.testing.assert_allclose(average, summed, rtol=1e-4)


def test_momentum_and_nesterov_with_beta_0_equal_gd():
    g, x = gradients(STEPS, seed=3)
    g, x = jnp.asarray(g, jnp.float32), jnp.asarray(x, jnp.float32)
    expected, _ = trajectory(gd(lr=0.5), x, grads=g)
    for rule in (momentum(lr=0.5, beta=0.0), nesterov(lr=0.5, beta=0.0)):
        np.testing.assert_array_equal(trajectory(rule, x, grads=g)[0], expected)


def test_rmsprop_centred_on_a_constant_gradient_is_finite():
    """Rounding leaves v - m^2 slightly above or below 0; the update is lr g / eps and never NaN."""
    g = jnp.full((200, 2, 3), 0.3)
    updates, _ = trajectory(rmsprop(lr=1.0, decay=0.5, eps=1e-2, centred=True), jnp.zeros((2, 3)), grads=g)
    assert np.isfinite(updates).all()
    np.testing.assert_allclose(updates[-1], np.full((2, 3), -30.0), rtol=0.05)


@some_rules(lambda case: not case.needs and case.entry.kind != "accumulate")
def test_rules_keep_a_gradient_of_nan_in_the_update(case):
    """A rule that turned it into a number would hide a diverged loss. (`accumulate` makes no update on its first step.)

    With two steps, because some rules use the gradient only from the second step on.
    """
    g = jnp.ones((2, 2, 3)).at[:, 1, 1].set(jnp.nan)
    updates, _ = trajectory(case(**case.defaults), jnp.ones((2, 3)), grads=g)
    assert np.isnan(updates[-1][1, 1])


@some_rules(lambda case: case.scope == "coordinate" and not case.needs)
def test_rules_do_not_move_a_coordinate_without_a_gradient(case):
    g = jnp.zeros((3, 2, 3)).at[:, 1].set(1.0)
    updates, _ = trajectory(case(**case.defaults), jnp.zeros((2, 3)), grads=g)
    np.testing.assert_array_equal(updates[:, 0], 0.0)
    assert (updates[:, 1] < 0).all()
