"""Schedules: hyperparameters as functions of the step's number, counted from 0.

Each function makes one: `cosine(peak=0.1, steps=1000)` is an `f(step) -> value` that serves wherever a rule takes a
number. Every argument may be traced, counts of steps too. A value is of JAX's default float (float32, or float64 under
x64) and has the shape of `step`.
"""

from typing import Any

import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.types import Array

Number = float | Array


@register.schedule("constant")
def constant(value: Number) -> optax.Schedule:
    """The same value at every step."""
    return lambda step: jnp.broadcast_to(_float(value), jnp.shape(step))


@register.schedule("step")
def step(value: Number, every: Number, factor: Number = 0.1) -> optax.Schedule:
    """A staircase: value factor^floor(t / every)."""

    def schedule(step: Any) -> Array:
        return _float(value) * _float(factor) ** jnp.floor_divide(_float(step), _float(every))

    return schedule


@register.schedule("exponential")
def exponential(value: Number, rate: Number, every: Number = 1.0) -> optax.Schedule:
    """A smooth decay: value rate^(t / every), so the factor `rate` for each `every` steps."""
    return lambda step: _float(value) * _float(rate) ** (_float(step) / _float(every))


@register.schedule(
    "cosine",
    source="Loshchilov & Hutter, SGDR: stochastic gradient descent with warm restarts, 2017, Equation 5",
    url="https://arxiv.org/abs/1608.03983",
    year=2017,
)
def cosine(peak: Number, steps: Number, floor: Number = 0.0) -> optax.Schedule:
    """Half a cosine from `peak` to `floor`: floor + (peak - floor) (1 + cos(pi min(t / steps, 1))) / 2.

    From step `steps` on it stays at the floor. Without restarts.

    Source: Loshchilov & Hutter (2017), Equation 5.
    """

    def schedule(step: Any) -> Array:
        half = (1 + jnp.cos(jnp.pi * _part(_float(step), _float(steps)))) / 2
        return _float(floor) + (_float(peak) - _float(floor)) * half

    return schedule


@register.schedule(
    "warmup",
    source="Goyal et al., Accurate, large minibatch SGD: training ImageNet in 1 hour, 2017, Section 2.2",
    url="https://arxiv.org/abs/1706.02677",
    year=2017,
)
def warmup(steps: Number, then: Number | optax.Schedule, start: Number = 0.0) -> optax.Schedule:
    """A line from `start` up to where another schedule begins, then that schedule; a number stays as it is.

    start + (then(0) - start) t / steps for t < steps, and then(t - steps) from there on. With `start` 0 the first
    update is 0.

    Source: Goyal et al. (2017), Section 2.2, gradual warm-up.
    """
    follow = then if callable(then) else constant(then)

    def schedule(step: Any) -> Array:
        t, n = _float(step), _float(steps)
        first = _float(follow(jnp.zeros_like(t)))
        ramp = _float(start) + (first - _float(start)) * _part(t, n)
        return jnp.where(t < n, ramp, _float(follow(jnp.maximum(t - n, 0.0))))

    return schedule


def _float(number: Any) -> Array:
    return jnp.asarray(number, jnp.result_type(float))


def _part(done: Array, steps: Array) -> Array:
    """How much of `steps` is done, at most 1; all of it where there are none."""
    some = steps > 0
    return jnp.where(some, jnp.minimum(done / jnp.where(some, steps, 1.0), 1.0), 1.0)
