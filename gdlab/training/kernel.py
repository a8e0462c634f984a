"""One step of gradient descent as a pair of pure functions: `kernel(problem, rule) -> (init, step)`."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab.training.user_code import checked_loss, checked_params, checked_update
from gdlab.types import Array, Grads, Params, Problem, State, Updates


class Iterate(NamedTuple):
    """The state of a run between two steps."""

    params: Params
    state: State  # of the rule
    step: Array  # int32, the number of steps taken


class StepInfo(NamedTuple):
    """What one step computed."""

    value: Array  # the loss at the parameters before the step, on the step's batch
    grads: Grads  # the gradient at the same point
    updates: Updates  # the new parameters minus the old ones


class Kernel(NamedTuple):
    """The two functions of `kernel`."""

    init: Callable[[Array], Iterate]
    step: Callable[[Iterate, Any, Array], tuple[Iterate, StepInfo]]


def kernel(problem: Problem, rule: optax.GradientTransformation) -> Kernel:
    """One optimisation step: x <- x + u, where (u, state) = rule.update(g, state, x) and g is the gradient at x.

    `init(key) -> iterate` is the starting point. `step(iterate, batch, key) -> (iterate, info)` takes one step on a
    batch (`problem.data` for batch gradient descent, None for a problem without data); `key` is the random key of the
    rule's noise. Both are pure and work under jit, vmap and grad. Nothing is checked: after a step from or to numbers
    that are not finite, the iterate holds such numbers. `gdlab.descend` and `gdlab.sweep` call this function and
    detect divergence.

        init, step = gdlab.kernel(problem, gdlab.rules.adam(1e-3))
        run, step = init(jax.random.key(0)), jax.jit(step)
        for batch in batches:
            run, info = step(run, batch, jax.random.fold_in(jax.random.key(1), run.step))

    Raises:
        gdlab.training.user_code.UserCodeError: the problem or the rule returns something of the wrong kind or shape.
    """
    take = update_step(problem, rule)

    def init(key: Array) -> Iterate:
        return Iterate(*starting_point(problem, rule, key), jnp.zeros((), jnp.int32))

    def step(iterate: Iterate, batch: Any, key: Array) -> tuple[Iterate, StepInfo]:
        params, state, info = take(iterate.params, iterate.state, batch, key, iterate.step)
        return Iterate(params, state, iterate.step + 1), info

    return Kernel(init, step)


def starting_point(problem: Problem, rule: optax.GradientTransformation, key: Array) -> tuple[Params, State]:
    """The initial parameters, and the initial state of the rule."""
    params = checked_params(problem.init(key), problem.init)
    return params, jax.tree.map(jnp.asarray, rule.init(params))


def update_step(
    problem: Problem, rule: optax.GradientTransformation
) -> Callable[[Params, State, Any, Array, Array], tuple[Params, State, StepInfo]]:
    """`(params, state, batch, key, index) -> (params, state, info)`, with `index` the number of the step."""
    update = optax.with_extra_args_support(rule).update
    problem = replace(problem, loss=checked_loss(problem.loss))

    def take(params: Params, state: State, batch: Any, key: Array, index: Array) -> tuple[Params, State, StepInfo]:
        value, grads = problem.value_and_grad(params, batch)
        returned = update(
            grads,
            state,
            params,
            value=value,
            grad=grads,
            value_fn=lambda params: problem.loss(params, batch),
            grad_fn=lambda params: problem.value_and_grad(params, batch)[1],
            key=key,
            step=index,
            **_optional_extras(problem, batch),
        )
        updates, state = checked_update(returned, rule.update, params, state)
        params = jax.tree.map(lambda x, u: x + u.astype(x.dtype), params, updates)
        return params, state, StepInfo(value, grads, updates)

    return take


def _optional_extras(problem: Problem, batch: Any) -> dict[str, Callable[[Any], Any]]:
    """The optional extra arguments of `update` that this problem can provide."""
    offered: dict[str, Callable[[Any], Any]] = {}
    if problem.sample is None:
        offered["full_grad_fn"] = lambda params: problem.value_and_grad(params, problem.data)[1]
    if problem.outputs is not None and problem.criterion is not None:
        outputs, criterion = problem.outputs, problem.criterion
        offered["outputs_fn"] = lambda params: outputs(params, batch)
        offered["criterion_fn"] = lambda z: criterion(z, batch)
    return offered
