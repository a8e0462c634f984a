"""Schedules in place of numbers: each step uses the rule made with the values of that step."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gdlab import register, schedules
from gdlab.rules import adam, gd, momentum, momentum_ema, rmsprop
from gdlab.rules.scheduled import ScheduledState, schedulable
from gdlab.types import Rule
from tests.rules.rule_cases import every_rule, gradients, trajectory
from tests.rules.rule_problem import extras

STEPS = 4
G, X = (jnp.asarray(rows, jnp.float32) for rows in gradients(STEPS))


def rebuilt(make, values, grads=G):
    """The updates of `make(value at step t)` on the state after step t - 1."""
    state, x, seen = make(values[0]).init(X), X, []
    for t, value in enumerate(values):
        offered = extras(x, t)
        g = offered["grad"] if grads is None else grads[t]
        updates, state = make(value).update(g, state, x, **offered)
        x = x + updates
        seen.append(updates)
    return jnp.stack(seen)


@pytest.mark.slow
@every_rule
def test_schedulable_takes_a_schedule_for_every_number(case):
    """Under jit, with a different schedule for every number of the rule."""
    low, high = case.at(0.2), case.at(0.6)
    fs = {n: lambda t, a=low[n], b=high[n]: jnp.where(t % 2 == 0, a, b) for n in low}
    grads = None if case.needs else G
    updates, state = jax.jit(lambda: trajectory(case(**fs), X, steps=STEPS, grads=grads))()
    expected = rebuilt(lambda values: case(**values), [low, high, low, high], grads)
    np.testing.assert_allclose(updates, expected, rtol=2e-5, atol=2e-6 * np.abs(expected).max())
    assert isinstance(state, ScheduledState)
    assert state.count == STEPS


@pytest.mark.smoke
def test_schedulable_takes_schedules_of_gdlab_of_optax_and_of_users():
    by_hand = [0.5 * (1 + np.cos(np.pi * t / 3)) * 0.2 for t in range(STEPS)]
    expected = rebuilt(lambda lr: gd(lr=lr), by_hand)
    for lr in (
        schedules.cosine(0.2, 3),
        optax.cosine_decay_schedule(0.2, 3),
        lambda t: 0.1 + 0.1 * jnp.cos(t / 3 * np.pi),
    ):
        np.testing.assert_allclose(trajectory(gd(lr=lr), X, grads=G)[0], expected, rtol=1e-5, atol=1e-9)


def test_schedulable_takes_schedules_by_position_and_together_with_numbers():
    expected = rebuilt(lambda beta: momentum(0.1, beta), [0.0, 0.25, 0.5, 0.75])
    for rule in (momentum(0.1, lambda t: t / 4), momentum(beta=lambda t: t / 4), momentum(0.1, beta=lambda t: t / 4)):
        np.testing.assert_allclose(trajectory(rule, X, grads=G)[0], expected, rtol=1e-6)


def test_momentum_ema_uses_a_schedule_of_beta_in_both_places():
    expected = rebuilt(lambda b: momentum(0.1, b, b), [0.0, 0.25, 0.5, 0.75])
    np.testing.assert_allclose(trajectory(momentum_ema(0.1, lambda t: t / 4), X, grads=G)[0], expected, rtol=1e-6)


def test_schedulable_traces_the_numbers_of_a_schedule():
    def run(peak, steps):
        return trajectory(adam(lr=schedules.cosine(peak, steps)), X, grads=G)[0]

    peaks, counts = jnp.asarray([0.1, 0.4]), jnp.asarray([2, 9])
    mapped = jax.jit(jax.vmap(run))(peaks, counts)
    for row, peak, steps in zip(mapped, (0.1, 0.4), (2, 9), strict=True):
        np.testing.assert_allclose(row, run(peak, steps), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_scheduled_state_and_updates_keep_their_shapes_and_dtypes(dtype):
    with jax.enable_x64(dtype == "float64"):
        rule, x = rmsprop(lr=schedules.constant(0.1), eps_inside=True), jnp.ones(3, dtype)
        state, (updates, after) = jax.eval_shape(lambda x: (rule.init(x), rule.update(x, rule.init(x))), x)
    assert updates.dtype == dtype
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), after) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), state
    )


def test_schedulable_adds_no_state_without_a_schedule():
    assert type(adam().init(X)).__name__ == "AdamState"
    assert type(adam(lr=lambda t: 0.1).init(X).inner).__name__ == "AdamState"


def test_schedulable_keeps_the_signature_name_and_docstring():
    assert list(inspect.signature(momentum).parameters) == ["lr", "beta", "dampening"]
    assert list(register.rules["momentum"].parameters) == ["lr", "beta", "dampening"]
    assert momentum.__name__ == "momentum"
    assert momentum.__doc__.startswith("Heavy-ball momentum")


def test_schedulable_reports_an_unknown_name_when_the_rule_is_made():
    with pytest.raises(TypeError, match="betta"):
        momentum(lr=lambda t: 0.1, betta=0.5)


def test_schedulable_passes_types_and_other_functions_on():
    """A dtype is a class, and a mask is a function of the parameters, not of the step."""
    seen = {}

    @schedulable
    def rule(lr, dtype=None, mask: "optax.MaskOrFn" = None, clip=abs, **more):
        seen.update(dtype=dtype, mask=mask, clip=clip, more=more)
        return gd(lr)

    mask = lambda params: True
    x = jnp.ones(2)
    made = rule(lambda t: 0.5, dtype=jnp.float32, mask=mask, extra=lambda t: t + 3)
    np.testing.assert_array_equal(made.update(x, made.init(x))[0], [-0.5, -0.5])
    assert (seen["dtype"], seen["clip"], seen["more"]) == (jnp.float32, abs, {"extra": 3})


def test_schedulable_passes_an_argument_annotated_as_another_function_on():
    from collections.abc import Callable
    from typing import Any

    seen = []

    @schedulable
    def rule(lr: float | optax.Schedule, mask: Any | Callable[[optax.Params], Any] | None = None):
        seen.append(mask)
        return gd(lr)

    mask = lambda params: True
    rule(lambda t: 0.5, mask).init(jnp.ones(2))
    assert seen == [mask]


def test_schedulable_applied_twice_changes_nothing():
    lr = schedules.exponential(0.1, 0.5)
    twice, once = (trajectory(make(lr=lr), X, grads=G) for make in (schedulable(gd), gd))
    np.testing.assert_array_equal(twice[0], once[0])
    assert jax.tree.structure(twice[1]) == jax.tree.structure(once[1])


def test_schedulable_takes_a_partial_and_a_rule_without_extras():
    factory = schedulable(
        functools.partial(lambda lr, scale: optax.GradientTransformation(*optax.sgd(lr * scale)[:2]), scale=2.0)
    )
    made = factory(lr=schedules.constant(0.25))
    assert isinstance(made, Rule)
    np.testing.assert_array_equal(made.update(jnp.ones(2), made.init(jnp.ones(2)), value=1.0)[0], [-0.5, -0.5])
