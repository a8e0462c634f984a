"""Schedules that start with a rise: warm-up, warm-up-stable-decay, one-cycle, cyclical and range test."""

from typing import Any

import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.schedules.decays import constant
from gdlab.schedules.parts import Number, part, real
from gdlab.types import Array


@register.schedule(
    "warmup",
    source="Goyal et al., Accurate, large minibatch SGD: training ImageNet in 1 hour, 2017, Section 2.2",
    url="https://arxiv.org/abs/1706.02677",
    year=2017,
)
def warmup(steps: Number, then: Number | optax.Schedule, start: Number = 0.0) -> optax.Schedule:
    """Linear warm-up: start + (then(0) - start) t / steps for t < steps, then the schedule then(t - steps).

    `then` may be a number, for a constant. With `start` 0 the first update is 0.

    Source: Goyal et al. (2017), Section 2.2, gradual warm-up.
    """
    after = then if callable(then) else constant(then)

    def schedule(step: Any) -> Array:
        t, n = real(step), real(steps)
        first = real(after(jnp.zeros_like(t)))
        ramp = real(start) + (first - real(start)) * part(t, n)
        return jnp.where(t < n, ramp, real(after(jnp.maximum(t - n, 0.0))))

    return schedule


@register.schedule(
    "wsd",
    source="Hu et al., MiniCPM: unveiling the potential of small language models with scalable training, 2024",
    url="https://arxiv.org/abs/2404.06395",
    year=2024,
)
def wsd(peak: Number, warmup: Number, stable: Number, decay: Number, floor: Number = 0.0) -> optax.Schedule:
    """Warm-up-stable-decay: from 0 to `peak` in `warmup` steps, constant for `stable`, to `floor` in `decay` steps.

    Both ramps are linear; from step warmup + stable + decay on it is constant. The paper does not fix the shape of the
    decay.

    Source: Hu et al. (2024), the WSD scheduler.
    """

    def schedule(step: Any) -> Array:
        t, decay_start = real(step), real(warmup) + real(stable)
        rise, fall = part(t, real(warmup)), part(t - decay_start, real(decay))
        return real(peak) * rise - (real(peak) - real(floor)) * fall

    return schedule


@register.schedule(
    "one_cycle",
    source="Smith, A disciplined approach to neural network hyper-parameters: part 1, 2018",
    url="https://arxiv.org/abs/1803.09820",
    year=2018,
)
def one_cycle(
    peak: Number,
    steps: Number,
    rise: Number = 0.3,
    fall: Number = 0.85,
    divisor: Number = 25.0,
    final_divisor: Number = 1e4,
) -> optax.Schedule:
    """One cycle of three lines: from low = peak / divisor to `peak`, back to low, and to low / final_divisor.

    They end at the fractions `rise`, `fall` and 1 of `steps`, with 0 <= rise <= fall <= 1; after that it is constant.

    Differs from PyTorch and fastai, whose default is two half cosines without a third phase.

    Source: Smith (2018), the 1cycle policy; fractions and divisors as in optax.
    """

    def schedule(step: Any) -> Array:
        t, n, top = real(step), real(steps), real(peak)
        low = top / real(divisor)
        up = part(t, real(rise) * n)
        down = part(t - real(rise) * n, (real(fall) - real(rise)) * n)
        out = part(t - real(fall) * n, (1 - real(fall)) * n)
        return low + (top - low) * (up - down) - (low - low / real(final_divisor)) * out

    return schedule


@register.schedule(
    "cyclical",
    source="Smith, Cyclical learning rates for training neural networks, 2017, Section 3.1",
    url="https://arxiv.org/abs/1506.01186",
    year=2017,
)
def cyclical(low: Number, high: Number, half: Number, factor: Number = 1.0) -> optax.Schedule:
    """Triangular cycles: from `low` to `high` in `half` steps and back in as many, repeatedly.

    high - low is multiplied by `factor` after each cycle; 0.5 is the paper's "triangular2". `half` is the paper's
    stepsize.

    Source: Smith (2017), Section 3.1.
    """

    def schedule(step: Any) -> Array:
        t, h = real(step), real(half)
        cycle = jnp.floor_divide(t, 2 * h)
        height = 1 - jnp.abs((t - 2 * h * cycle) / h - 1)
        return real(low) + (real(high) - real(low)) * real(factor) ** cycle * height

    return schedule


@register.schedule(
    "range_test",
    source="Smith, Cyclical learning rates for training neural networks, 2017, Section 3.3",
    url="https://arxiv.org/abs/1506.01186",
    year=2017,
)
def range_test(low: Number, high: Number, steps: Number) -> optax.Schedule:
    """Learning-rate range test: low (high / low)^min(t / steps, 1), an exponential rise.

    A single run shows the lr at which the loss starts to fall and the one at which it starts to rise. Differs from the
    paper, where the rise is linear.

    Source: Smith (2017), Section 3.3.
    """
    return lambda step: real(low) * (real(high) / real(low)) ** part(real(step), real(steps))
