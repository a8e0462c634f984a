"""Half a cosine, once or with restarts."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.schedules.parts import Number, part, real
from gdlab.types import Array

_SOURCE = "Loshchilov & Hutter, SGDR: stochastic gradient descent with warm restarts, 2017, Equation 5"
_URL = "https://arxiv.org/abs/1608.03983"
_BITS = 24  # of a count of cycles; a larger whole number is not exact in float32 anyway
_TOGETHER = 6  # bits in a fusion: the time to compile one grows exponentially with them (jaxlib 0.12, on a CPU)


@register.schedule("cosine", source=_SOURCE, url=_URL, year=2017)
def cosine(peak: Number, steps: Number, floor: Number = 0.0) -> optax.Schedule:
    """Half a cosine from `peak` to `floor`: floor + (peak - floor) (1 + cos(pi min(t / steps, 1))) / 2.

    From step `steps` on it stays at the floor. Without restarts.

    Source: Loshchilov & Hutter (2017), Equation 5.
    """

    def schedule(step: Any) -> Array:
        return _half(part(real(step), real(steps)), peak, floor)

    return schedule


@register.schedule("sgdr", source=_SOURCE, url=_URL, year=2017)
def sgdr(peak: Number, period: Number, multiplier: Number = 1.0, floor: Number = 0.0) -> optax.Schedule:
    """Half a cosine from `peak` to `floor`, again and again; each `multiplier` times as long as the one before.

    Cycle i = 0, 1, ... has period multiplier^i steps. The paper recommends a multiplier of 1 or 2. With one below 1
    the cycles add up to period / (1 - multiplier) steps, after which there is no value (NaN).

    Source: Loshchilov & Hutter (2017), Equation 5 and the T_0 and T_mult below it.
    """

    def schedule(step: Any) -> Array:
        t, length, m = real(step), real(period), real(multiplier)
        long, begin = _cycle(jax.lax.stop_gradient(t / length), m)
        return _half((t / length - begin) / long, peak, floor)

    return schedule


def _cycle(t: Array, m: Array) -> tuple[Array, Array]:
    """Of the cycle in which t lies, its length m^i and its beginning 1 + m + ... + m^(i-1), in first periods."""
    growth = jnp.where(m == 1, 1.0, m - 1)
    # (m^i - 1) / (m - 1) = t, solved for i. Rounding may put it a cycle off, so it is counted on from the one before.
    near = jnp.where(m == 1, t, jnp.log1p(t * growth) / jnp.log1p(growth))
    length, begin = _powers(jnp.maximum(jnp.floor(jax.lax.stop_gradient(near)) - 1, 0.0), m)
    for _ in range(2):
        over = begin + length <= t
        length, begin = jnp.where(over, length * m, length), jnp.where(over, begin + length, begin)
    return length, jnp.where(jnp.isnan(near), near, begin)


def _powers(i: Array, m: Array) -> tuple[Array, Array]:
    """m^i and 1 + m + ... + m^(i-1), by doubling: exact for whole numbers, and without a pole at m = 1."""
    power, total, count = jnp.ones_like(i * m), jnp.zeros_like(i * m), i.astype(jnp.int32)
    for bit in reversed(range(_BITS)):
        power, total = power * power, total * (1 + power)
        odd = (count >> bit) % 2 == 1
        power, total = jnp.where(odd, power * m, power), jnp.where(odd, total + power, total)
        if bit % _TOGETHER == 0:
            power, total = jax.lax.optimization_barrier((power, total))
    return power, total


def _half(done: Array, peak: Number, floor: Number) -> Array:
    return real(floor) + (real(peak) - real(floor)) * (1 + jnp.cos(jnp.pi * done)) / 2
