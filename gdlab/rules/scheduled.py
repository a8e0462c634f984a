"""Any hyperparameter of any rule may be a schedule: a function of the step's number."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab.types import Array, Grads, Params, Rule, State, Updates


class Scheduled(NamedTuple):
    """A rule's state and the number of the step."""

    count: Array  # shape (), int32
    inner: State


def schedulable(factory: Callable[..., Rule]) -> Callable[..., Rule]:
    """A factory that also takes a callable for any hyperparameter.

    The rule is then built anew at each step t = 0, 1, ..., with the callables' values at t. Its state must not change
    its structure with the values of hyperparameters, which no rule's may.
    """

    @functools.wraps(factory)
    def make(*args: Any, **kwargs: Any) -> Rule:
        given = inspect.signature(factory).bind(*args, **kwargs).arguments
        schedules = {name: value for name, value in given.items() if callable(value)}
        if not schedules:
            return factory(**given)

        def at(count: Array) -> Rule:
            return factory(**given | {name: schedule(count) for name, schedule in schedules.items()})

        def init(params: Params) -> Scheduled:
            count = jnp.zeros((), jnp.int32)
            return Scheduled(count, at(count).init(params))

        def update(
            grads: Grads, state: Scheduled, params: Params | None = None, **extra: Any
        ) -> tuple[Updates, Scheduled]:
            updates, inner = at(state.count).update(grads, state.inner, params, **extra)
            return updates, Scheduled(state.count + 1, inner)

        return Rule(init, update)

    return make
