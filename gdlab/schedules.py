"""Schedules: functions of the step's number t = 0, 1, ... Every argument, and t, may be traced.

A schedule serves as any hyperparameter of any rule: `rules.adam(lr=schedules.cosine(0.1, 500))`.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from gdlab import register
from gdlab.types import Array

Schedule = Callable[[Any], Array]


@register.schedule("constant")
def constant(value: float) -> Schedule:
    """The same value at every step.

    >>> float(constant(0.5)(7))
    0.5
    """
    return lambda t: _real(value)


@register.schedule("step")
def step(value: float, every: int, factor: float = 0.1) -> Schedule:
    """value factor^floor(t / every): a drop by `factor` after each `every` steps.

    >>> [float(step(1.0, every=2, factor=0.5)(t)) for t in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    return lambda t: _real(value) * _real(factor) ** jnp.floor(_real(t) / _real(every))


@register.schedule("exponential")
def exponential(value: float, rate: float, every: float = 1.0) -> Schedule:
    """value rate^(t / every): a smooth decay by `rate` in `every` steps.

    >>> float(exponential(1.0, rate=0.25, every=2)(1))
    0.5
    """
    return lambda t: _real(value) * _real(rate) ** (_real(t) / _real(every))


@register.schedule("cosine", source="Loshchilov & Hutter 2017, eq. 5")
def cosine(peak: float, steps: int, floor: float = 0.0) -> Schedule:
    """floor + (peak - floor) (1 + cos(pi t / steps)) / 2, and `floor` from t = `steps` on: half a wave, no restarts.

    >>> [round(float(cosine(1.0, steps=4)(t)), 3) for t in (0, 2, 4, 9)]
    [1.0, 0.5, 0.0, 0.0]
    """

    def at(t: Any) -> Array:
        share = jnp.clip(_real(t) / _real(steps), 0, 1)
        return _real(floor) + (_real(peak) - _real(floor)) * (1 + jnp.cos(jnp.pi * share)) / 2

    return at


@register.schedule("warmup", source="Goyal et al. 2017, section 2.2")
def warmup(steps: int, then: Schedule | float) -> Schedule:
    """`then`(t) (t + 1) / (steps + 1) for t < steps, and `then`(t) afterwards: a linear rise in front of any schedule.

    The first step is not of size zero, and `then` runs on its own clock from t = 0, so a cosine of 500 steps still ends
    at 500. `then` may be a number.

    >>> [float(warmup(3, then=1.0)(t)) for t in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    def at(t: Any) -> Array:
        value = _real(then(t) if callable(then) else then)
        return value * jnp.minimum((_real(t) + 1) / (_real(steps) + 1), 1)

    return at


def _real(x: Any) -> Array:
    """x in the default float dtype: steps are counted in integers, values are not."""
    return jnp.asarray(x).astype(jnp.result_type(float))
