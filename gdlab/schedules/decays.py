"""Decays: staircase, exponential, linear, polynomial, 1/t and 1/sqrt(t)."""

from typing import Any

import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.schedules.parts import Number, part, real
from gdlab.types import Array


@register.schedule("constant")
def constant(value: Number) -> optax.Schedule:
    """A constant value."""
    return lambda step: jnp.broadcast_to(real(value), jnp.shape(step))


@register.schedule("step")
def step(value: Number, every: Number, factor: Number = 0.1) -> optax.Schedule:
    """A staircase: value factor^floor(t / every)."""

    def schedule(step: Any) -> Array:
        return real(value) * real(factor) ** jnp.floor_divide(real(step), real(every))

    return schedule


@register.schedule("exponential")
def exponential(value: Number, rate: Number, every: Number = 1.0) -> optax.Schedule:
    """Exponential decay: value rate^(t / every), a factor of `rate` every `every` steps."""
    return lambda step: real(value) * real(rate) ** (real(step) / real(every))


@register.schedule(
    "linear",
    source="Defazio et al., Optimal linear decay learning rate schedules and further refinements, 2023",
    url="https://arxiv.org/abs/2310.07831",
    year=2023,
)
def linear(value: Number, steps: Number, end: Number = 0.0) -> optax.Schedule:
    """Linear: value + (end - value) min(t / steps, 1).

    From step `steps` on it is constant. `end` may be larger than `value`.

    Source: Defazio et al. (2023), who show that linear decay to 0 is worst-case optimal.
    """
    return lambda step: real(value) + (real(end) - real(value)) * part(real(step), real(steps))


@register.schedule(
    "polynomial",
    source="Chen et al., DeepLab: semantic image segmentation with deep convolutional nets, 2016",
    url="https://arxiv.org/abs/1606.00915",
    year=2016,
)
def polynomial(value: Number, steps: Number, power: Number = 0.9, end: Number = 0.0) -> optax.Schedule:
    """Polynomial decay: end + (value - end) (1 - min(t / steps, 1))^power.

    From step `steps` on it is constant. For `power` 1 it is `linear`.

    Source: Chen et al. (2016), the "poly" policy, with `end` 0.
    """

    def schedule(step: Any) -> Array:
        left = 1 - part(real(step), real(steps))
        positive = left > 0  # the derivative of 0^power with respect to power is NaN
        decay = jnp.where(positive, jnp.where(positive, left, 1.0) ** real(power), 0.0)
        return real(end) + (real(value) - real(end)) * decay

    return schedule


@register.schedule(
    "inverse_time",
    source="Darken & Moody, Note on learning rate schedules for stochastic optimization, 1990",
    url="https://papers.neurips.cc/paper_files/paper/1990/hash/18d8042386b79e2c279fd162df0205c8-Abstract.html",
    year=1990,
)
def inverse_time(value: Number, rate: Number = 1.0, every: Number = 1.0) -> optax.Schedule:
    """Inverse time decay: value / (1 + rate t / every).

    Its sum over all steps is infinite and the sum of its squares finite: the conditions of Robbins & Monro (1951) for
    the convergence of stochastic approximation.

    Source: Darken & Moody (1990), "search then converge": about constant up to step every / rate, then like 1 / t.
    """
    return lambda step: real(value) / (1 + real(rate) * real(step) / real(every))


@register.schedule(
    "inverse_square_root",
    source="Vaswani et al., Attention is all you need, 2017, Equation 3",
    url="https://arxiv.org/abs/1706.03762",
    year=2017,
)
def inverse_square_root(peak: Number, warmup: Number = 1.0) -> optax.Schedule:
    """Linear warm-up, then decay like 1 / sqrt(t): peak min(t / warmup, sqrt(warmup / t)) for t = 1, 2, ...

    As in the paper, step 0 has t = 1, so the peak is at step `warmup` - 1; a `warmup` below 1 is taken as 1. The
    paper's peak is 1 / sqrt(d warmup), with d the width of the model.

    Source: Vaswani et al. (2017), Equation 3.
    """

    def schedule(step: Any) -> Array:
        t, w = real(step) + 1, jnp.maximum(real(warmup), 1.0)
        return real(peak) * jnp.minimum(t / w, jnp.sqrt(w / t))

    return schedule
