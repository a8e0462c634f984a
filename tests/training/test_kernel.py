"""`kernel`: one step, against optax in a plain loop."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdlab
from gdlab import rules
from gdlab.training.user_code import UserCodeError

A = jnp.asarray(np.diag([1.0, 3.0]) + 0.5, jnp.float32)


def loss(x, batch):
    return 0.5 * x @ A @ x if batch is None else 0.5 * jnp.mean((batch @ x) ** 2)


PROBLEM = gdlab.Problem(init=lambda key: jnp.array([1.0, -2.0]), loss=loss)


@pytest.mark.parametrize("rule", [rules.momentum(0.1, beta=0.5), optax.adam(0.1), optax.sgd(0.2)])
def test_kernel_takes_the_steps_of_optax(rule, standard_promotion):
    init, step = gdlab.kernel(PROBLEM, rule)
    run, params = init(jax.random.key(0)), jnp.array([1.0, -2.0])
    state, jitted = rule.init(params), jax.jit(step)
    for number in range(5):
        run, info = jitted(run, None, jax.random.key(1))
        value, grads = jax.value_and_grad(loss)(params, None)
        updates, state = rule.update(grads, state, params)
        np.testing.assert_allclose(info.value, value, rtol=1e-6)
        np.testing.assert_allclose(info.grads, grads, rtol=1e-6)
        np.testing.assert_allclose(info.updates, updates, rtol=1e-5, atol=1e-7)
        params = params + updates
        np.testing.assert_allclose(run.params, params, rtol=1e-5)
        assert int(run.step) == number + 1


@pytest.mark.smoke
def test_kernel_works_under_vmap_and_grad_and_uses_the_batch_and_the_key():
    batch = jnp.asarray(np.random.default_rng(0).normal(size=(4, 2)), jnp.float32)

    def after(lr, key):
        init, step = gdlab.kernel(PROBLEM, rules.sgld(lr, temperature=0.1))
        return step(init(jax.random.key(0)), batch, key)[0].params

    rates = jnp.array([0.01, 0.02])
    both = jax.vmap(after, in_axes=(0, None))(rates, jax.random.key(1))
    np.testing.assert_allclose(both[1], after(rates[1], jax.random.key(1)), rtol=1e-6)
    assert not np.allclose(both[1], after(rates[1], jax.random.key(2)))
    slope = jax.jacobian(lambda lr: gdlab_step(lr, batch))(0.1)
    np.testing.assert_allclose(slope, -jax.grad(loss)(jnp.array([1.0, -2.0]), batch), rtol=1e-5)


def gdlab_step(lr, batch):
    init, step = gdlab.kernel(PROBLEM, rules.gd(lr))
    return step(init(jax.random.key(0)), batch, jax.random.key(1))[0].params


def test_kernel_does_not_hide_numbers_that_are_not_finite():
    init, step = gdlab.kernel(PROBLEM, rules.gd(1e30))
    run = init(jax.random.key(0))
    for _ in range(3):
        run, info = step(run, None, jax.random.key(0))
    assert not np.isfinite(np.asarray(run.params)).all()
    assert not np.isfinite(float(info.value))


def test_kernel_checks_what_the_problem_and_the_rule_return():
    wrong = gdlab.Problem(init=lambda key: jnp.ones(2), loss=lambda x, batch: x)
    init, step = gdlab.kernel(wrong, rules.gd(0.1))
    with pytest.raises(UserCodeError, match="shape"):
        step(init(jax.random.key(0)), None, jax.random.key(0))
