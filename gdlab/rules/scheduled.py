"""Schedules in place of numbers: any hyperparameter of a rule as a function of the step."""

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, get_args, get_origin

import jax
import jax.numpy as jnp
import optax

from gdlab.rules.hyperparameters import signature
from gdlab.rules.preconditioner import preconditioner, with_preconditioner
from gdlab.types import Array, Grads, Params, PyTree, Rule, State, Updates

# A number, which may be traced, or a schedule: a function of the step number (from 0) that returns one.
Hyperparameter = float | Array | optax.Schedule

Arguments = ParamSpec("Arguments")


class ScheduledState(NamedTuple):
    """The state of a rule with schedules."""

    count: Array  # type: ignore[assignment]  # t, [] int32: steps taken
    inner: State  # the state of the rule without schedules


def schedulable(factory: Callable[Arguments, optax.GradientTransformation]) -> Callable[Arguments, Rule]:
    """Decorate a rule factory so that any hyperparameter can be a schedule `f(step) -> value`, with steps from 0.

    Step t uses the rule made with the value of every schedule at t: `factory(lr=f(t)).update`. So the structure of the
    rule's state must not depend on the values of its hyperparameters. If no argument is a schedule, the factory is
    called directly.

    A callable argument is treated as a schedule, with two exceptions: a type (a dtype, say), and an argument whose
    parameter is annotated as another kind of function and does not have a number as its default.
    """
    parameters = signature(factory).parameters

    @functools.wraps(factory)
    def make(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Rule:
        named: dict[str, Any] = dict(zip(parameters, args, strict=False)) | kwargs
        schedules = {name: f for name, f in named.items() if _is_schedule(f, parameters.get(name))}
        if not schedules:
            return optax.with_extra_args_support(factory(*args, **kwargs))
        inspect.signature(factory).bind(*args, **kwargs)  # report a wrong argument now, not at the first step

        def at(count: Array) -> optax.GradientTransformation:
            # A user's schedule may mix floats and integers, as `0.1 * (t + 1)` does, even under strict promotion.
            with jax.numpy_dtype_promotion("standard"):
                now = {name: schedule(count) for name, schedule in schedules.items()}
            positional = [now.get(name, arg) for name, arg in zip(parameters, args, strict=False)]
            return factory(*positional, **{name: now.get(name, value) for name, value in kwargs.items()})

        return _scheduled(at)

    return make


def _scheduled(rule_at: Callable[[Array], optax.GradientTransformation]) -> Rule:
    def init(params: Params) -> ScheduledState:
        count = jnp.zeros([], jnp.int32)
        return ScheduledState(count, rule_at(count).init(params))

    def update(
        grads: Grads, state: ScheduledState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScheduledState]:
        rule = optax.with_extra_args_support(rule_at(state.count))
        updates, inner = rule.update(grads, state.inner, params, **extra)
        return updates, ScheduledState(optax.safe_increment(state.count), inner)

    def by(state: ScheduledState) -> PyTree | None:
        return preconditioner(rule_at(state.count - 1), state.inner)

    return with_preconditioner(Rule(init, update), by)


def _is_schedule(value: Any, parameter: inspect.Parameter | None) -> bool:
    if not callable(value) or isinstance(value, type):
        return False
    if parameter is None or isinstance(parameter.default, int | float):
        return True
    options = get_args(parameter.annotation) or (parameter.annotation,)
    functions = [kind for kind in options if kind is Callable or get_origin(kind) is Callable]
    return all(is_schedule_type(kind) for kind in functions)


def is_schedule_type(annotation: Any) -> bool:
    """Whether an annotation denotes a schedule: `optax.Schedule`, or `Callable` without type arguments."""
    return annotation in (Callable, typing.Callable, optax.Schedule)
