"""Decays: staircase, exponential, linear, polynomial, 1/t and 1/sqrt(t)."""

from typing import Any

import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.schedules.parts import Number, part, real
from gdlab.types import Array


@register.schedule("constant")
def constant(value: Number) -> optax.Schedule:
    """The same value at every step."""
    return lambda step: jnp.broadcast_to(real(value), jnp.shape(step))


@register.schedule("step")
def step(value: Number, every: Number, factor: Number = 0.1) -> optax.Schedule:
    """A staircase: value factor^floor(t / every)."""

    def schedule(step: Any) -> Array:
        return real(value) * real(factor) ** jnp.floor_divide(real(step), real(every))

    return schedule


@register.schedule("exponential")
def exponential(value: Number, rate: Number, every: Number = 1.0) -> optax.Schedule:
    """A smooth decay: value rate^(t / every), so the factor `rate` for each `every` steps."""
    return lambda step: real(value) * real(rate) ** (real(step) / real(every))


@register.schedule(
    "linear",
    source="Defazio et al., Optimal linear decay learning rate schedules and further refinements, 2023",
    url="https://arxiv.org/abs/2310.07831",
    year=2023,
)
def linear(value: Number, steps: Number, end: Number = 0.0) -> optax.Schedule:
    """A line from `value` to `end`: value + (end - value) min(t / steps, 1).

    From step `steps` on it stays at the end. Up as well as down.

    Source: Defazio et al. (2023), who show that down to 0 it is the best of all schedules for the worst case.
    """
    return lambda step: real(value) + (real(end) - real(value)) * part(real(step), real(steps))


@register.schedule(
    "polynomial",
    source="Chen et al., DeepLab: semantic image segmentation with deep convolutional nets, 2016",
    url="https://arxiv.org/abs/1606.00915",
    year=2016,
)
def polynomial(value: Number, steps: Number, power: Number = 0.9, end: Number = 0.0) -> optax.Schedule:
    """A power of what is left: end + (value - end) (1 - min(t / steps, 1))^power.

    From step `steps` on it stays at the end. With `power` 1 it is `linear`.

    Source: Chen et al. (2016), the "poly" policy, with `end` 0.
    """

    def schedule(step: Any) -> Array:
        left = 1 - part(real(step), real(steps))
        some = left > 0  # the derivative of 0^power by power is that of no number
        shape = jnp.where(some, jnp.where(some, left, 1.0) ** real(power), 0.0)
        return real(end) + (real(value) - real(end)) * shape

    return schedule


@register.schedule(
    "inverse_time",
    source="Darken & Moody, Note on learning rate schedules for stochastic optimization, 1990",
    url="https://papers.neurips.cc/paper_files/paper/1990/hash/18d8042386b79e2c279fd162df0205c8-Abstract.html",
    year=1990,
)
def inverse_time(value: Number, rate: Number = 1.0, every: Number = 1.0) -> optax.Schedule:
    """A decay like 1/t: value / (1 + rate t / every).

    Its sum over all steps is infinite and that of its squares finite, which is what stochastic approximation asks of
    step sizes to converge (Robbins & Monro, 1951).

    Source: Darken & Moody (1990): first search, at about `value`, then converge, from about step every / rate on.
    """
    return lambda step: real(value) / (1 + real(rate) * real(step) / real(every))


@register.schedule(
    "inverse_square_root",
    source="Vaswani et al., Attention is all you need, 2017, Equation 3",
    url="https://arxiv.org/abs/1706.03762",
    year=2017,
)
def inverse_square_root(peak: Number, warmup: Number = 1.0) -> optax.Schedule:
    """A line up to `peak`, then a decay like 1/sqrt(t): peak min(t / warmup, sqrt(warmup / t)) for t = 1, 2, ...

    The paper counts steps from 1, so step 0 has t = 1, and the peak is at step `warmup` - 1; a warm-up below 1 counts
    as 1. The paper's peak is 1 / sqrt(d warmup), with d the width of the model.

    Source: Vaswani et al. (2017), Equation 3.
    """

    def schedule(step: Any) -> Array:
        t, w = real(step) + 1, jnp.maximum(real(warmup), 1.0)
        return real(peak) * jnp.minimum(t / w, jnp.sqrt(w / t))

    return schedule
