"""Any hyperparameter of any rule as a function of the step."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, get_args, get_origin

import jax
import jax.numpy as jnp
import optax

from gdlab.rules.hyperparameters import signature
from gdlab.rules.preconditioner import divides, preconditioner
from gdlab.types import Array, Grads, Params, PyTree, Rule, State, Updates

# A number, traced or not, or a function of the step's number (from 0) that gives one.
Hyperparameter = float | Array | optax.Schedule

Given = ParamSpec("Given")


class ScheduledState(NamedTuple):
    """The state of a rule with schedules."""

    step: Array  # t, [] int32: steps taken
    inner: State  # the rule's own


def schedulable(factory: Callable[Given, optax.GradientTransformation]) -> Callable[Given, Rule]:
    """A rule factory that takes, for any hyperparameter, a schedule: `f(step) -> value`, steps counted from 0.

    Step t is the rule made with every schedule's value at t, on the state that step t-1 left:
    `factory(lr=f(t)).update`. The structure of a rule's state must not depend on the values of its hyperparameters.
    Without a schedule among its arguments the factory is called as it is.

    A callable is a schedule unless it is a type (a dtype, say) or its parameter is annotated as taking another sort of
    function, and has no number for a default.
    """
    parameters = signature(factory).parameters

    @functools.wraps(factory)
    def make(*args: Given.args, **kwargs: Given.kwargs) -> Rule:
        named: dict[str, Any] = dict(zip(parameters, args, strict=False)) | kwargs
        schedules = {name: f for name, f in named.items() if _is_schedule(f, parameters.get(name))}
        if not schedules:
            return optax.with_extra_args_support(factory(*args, **kwargs))
        inspect.signature(factory).bind(*args, **kwargs)  # or a wrong argument would be found at the first step only

        def at(step: Array) -> optax.GradientTransformation:
            # `0.1 * (t + 1)` mixes a float and an integer; strict promotion is for rules, a value is cast in any case.
            with jax.numpy_dtype_promotion("standard"):
                now = {name: schedule(step) for name, schedule in schedules.items()}
            by_place = [now.get(name, arg) for name, arg in zip(parameters, args, strict=False)]
            return factory(*by_place, **{name: now.get(name, value) for name, value in kwargs.items()})

        return _scheduled(at)

    return make


def _scheduled(rule_at: Callable[[Array], optax.GradientTransformation]) -> Rule:
    def init(params: Params) -> ScheduledState:
        step = jnp.zeros([], jnp.int32)
        return ScheduledState(step, rule_at(step).init(params))

    def update(
        grads: Grads, state: ScheduledState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScheduledState]:
        rule = optax.with_extra_args_support(rule_at(state.step))
        updates, inner = rule.update(grads, state.inner, params, **extra)
        return updates, ScheduledState(optax.safe_increment(state.step), inner)

    def by(state: ScheduledState) -> PyTree | None:
        return preconditioner(rule_at(state.step - 1), state.inner)

    return divides(Rule(init, update), by)


def _is_schedule(value: Any, parameter: inspect.Parameter | None) -> bool:
    if not callable(value) or isinstance(value, type):
        return False
    if parameter is None or isinstance(parameter.default, int | float):
        return True
    offered = get_args(parameter.annotation) or (parameter.annotation,)
    functions = [kind for kind in offered if kind is Callable or get_origin(kind) is Callable]
    return all(kind in (Callable, optax.Schedule) for kind in functions)
