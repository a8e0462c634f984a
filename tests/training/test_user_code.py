"""A problem, rule or probe returns a wrong value: the error names the function, its line and the expected value."""

import inspect

import jax.numpy as jnp
import pytest

import gdlab
from gdlab import Problem, Rule, sweep
from gdlab.engine.space import SpaceError
from gdlab.training.user_code import UserCodeError


def bowl(params, batch):
    return jnp.sum(params**2)


def problem(**changes):
    return Problem(**{"init": lambda key: jnp.ones(2), "loss": bowl, **changes})


def rule(update):
    return lambda lr=0.1: Rule(lambda params: jnp.zeros(2), update)


def no_update(grads, state, params=None, **extra):
    return None


def wrong_shape(grads, state, params=None, **extra):
    return jnp.zeros(3), state


def growing_state(grads, state, params=None, **extra):
    return -0.1 * grads, jnp.append(state, 0.0)


def renamed_state(grads, state, params=None, **extra):
    return -0.1 * grads, {"moment": state}


@pytest.mark.parametrize(
    ("update", "wanted", "returned"),
    [
        (no_update, "a tuple (updates, state)", "None"),
        (wrong_shape, "updates shaped like the parameters, float32[2]", "float32[3]"),
        (growing_state, "a state of the same structure, shapes and dtypes at each step, float32[2]", "float32[3]"),
        (
            renamed_state,
            "a state of the same structure, shapes and dtypes at each step, float32[2]",
            "{'moment': float32[2]}",
        ),
    ],
)
def test_a_rules_update_is_checked(update, wanted, returned):
    with pytest.raises(UserCodeError) as caught:
        sweep(problem(), rule(update), {"lr": [0.1]}, steps=2)
    line = inspect.getsourcelines(update)[1]
    assert (
        str(caught.value)
        == f"the rule's update ({__file__}, line {line}) must return {wanted}, but it returned {returned}"
    )


def test_a_state_whose_dtype_changes_is_named():
    def update(grads, state, params=None, **extra):
        return -0.1 * grads, state.astype(jnp.bfloat16)

    with pytest.raises(UserCodeError, match=r"float32\[2\], but it returned bfloat16\[2\]"):
        sweep(problem(), rule(update), {"lr": [0.1]}, steps=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"loss": lambda params, batch: None},
            r"the problem's loss \(.*line \d+\) must return a scalar.*returned None",
        ),
        ({"loss": lambda params, batch: params}, r"must return a floating-point scalar, shape \(\), .* float32\[2\]"),
        ({"loss": lambda params, batch: jnp.sum(params > 0)}, r"must return a floating-point scalar, .* int32\[\]"),
        ({"init": lambda key: {}}, r"the problem's init \(.*\) must return a pytree of arrays, but it returned \{\}"),
        (
            {"init": lambda key: jnp.zeros(2, jnp.int32)},
            r"arrays of floating-point numbers, but it returned int32\[2\]",
        ),
        ({"init": lambda key: {"w": "no"}}, r"arrays of floating-point numbers, but it returned 'no'"),
    ],
)
def test_a_problem_is_checked(changes, message):
    with pytest.raises(UserCodeError, match=message):
        sweep(problem(**changes), gdlab.rules.gd, {"lr": [0.1]}, steps=2)


def test_a_probe_is_checked():
    with pytest.raises(UserCodeError, match=r"the probe 'mine' must return one array, but it returned None"):
        sweep(problem(), gdlab.rules.gd, {"lr": [0.1]}, steps=2, probes={"mine": lambda step: None})


@pytest.mark.parametrize("name", ["loss", "final_loss", "diverged_at", "eval_loss"])
def test_a_probe_with_the_name_of_a_result_is_refused(name):
    with pytest.raises(ValueError, match=f"a probe can't be named '{name}'"):
        sweep(problem(), gdlab.rules.gd, {"lr": [0.1]}, steps=2, probes={name: lambda step: step.value})


def test_a_correct_rule_passes():
    def update(grads, state, params=None, **extra):
        return -0.1 * grads, state + 1

    data = sweep(problem(), rule(update), {"lr": [0.1]}, steps=3)
    assert float(data["final_loss"][0]) == pytest.approx(2 * 0.8**6, rel=1e-6)


@pytest.mark.parametrize(
    ("given", "axis", "advice"),
    [
        (gdlab.rules.adam, "learning_rate", "did you mean lr?"),
        (gdlab.rules.momentum, "betta", "did you mean beta?"),
        (gdlab.rules.gd(0.1), "lr", "the rule is already built: pass its factory"),
        (gdlab.rules.gd, "problem.width", "pass a function that builds the problem"),
    ],
)
def test_the_error_for_an_unread_axis_suggests_a_name(given, axis, advice):
    with pytest.raises(SpaceError) as caught:
        sweep(problem(), given, {axis: [0.1]}, steps=2)
    assert str(caught.value).startswith(f"unknown axis {axis!r}: ")
    assert advice in str(caught.value)
