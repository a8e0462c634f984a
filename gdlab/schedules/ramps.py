"""What begins with a climb: warm-up, one cycle, many cycles, warm-up and decay with a plateau between."""

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
    """A line from `start` up to where another schedule begins, then that schedule; a number stays as it is.

    start + (then(0) - start) t / steps for t < steps, and then(t - steps) from there on. With `start` 0 the first
    update is 0.

    Source: Goyal et al. (2017), Section 2.2, gradual warm-up.
    """
    follow = then if callable(then) else constant(then)

    def schedule(step: Any) -> Array:
        t, n = real(step), real(steps)
        first = real(follow(jnp.zeros_like(t)))
        ramp = real(start) + (first - real(start)) * part(t, n)
        return jnp.where(t < n, ramp, real(follow(jnp.maximum(t - n, 0.0))))

    return schedule


@register.schedule(
    "wsd",
    source="Hu et al., MiniCPM: unveiling the potential of small language models with scalable training, 2024",
    url="https://arxiv.org/abs/2404.06395",
    year=2024,
)
def wsd(peak: Number, warmup: Number, stable: Number, decay: Number, floor: Number = 0.0) -> optax.Schedule:
    """Warm-up, stable, decay: up from 0 for `warmup` steps, at `peak` for `stable`, down to `floor` over `decay`.

    From step warmup + stable + decay on it stays at the floor. Both slopes are lines. The paper leaves the shape of the
    decay open.

    Source: Hu et al. (2024), the WSD scheduler.
    """

    def schedule(step: Any) -> Array:
        t, begin = real(step), real(warmup) + real(stable)
        rise, fall = part(t, real(warmup)), part(t - begin, real(decay))
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
    """Three lines: from low = peak / divisor up to `peak`, down to low, and on to low / final_divisor.

    The first ends at the part `rise` of all `steps`, the second at the part `fall`, the third with the last step;
    after it the value stays. For 0 <= rise <= fall <= 1.

    Differs from PyTorch, and from fastai, where by default there are two halves of a cosine and no third part.

    Source: Smith (2018), the 1cycle policy; the parts and divisors as in optax.
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
    """Triangles: from `low` up to `high` in `half` steps, down again in as many, and so on.

    Each triangle is `factor` times as high as the one before: with 0.5 it is the paper's "triangular2". `half` is the
    paper's stepsize.

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
    """The learning-rate range test: low (high / low)^min(t / steps, 1), once through all orders of magnitude.

    One run shows from which rate on the loss falls and from which on it rises. Differs from the paper, which goes up in
    a line.

    Source: Smith (2017), Section 3.3.
    """
    return lambda step: real(low) * (real(high) / real(low)) ** part(real(step), real(steps))
