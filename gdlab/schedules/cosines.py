"""Cosine decay, with and without restarts."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.schedules.parts import Number, part, real
from gdlab.types import Array

_SOURCE = "Loshchilov & Hutter, SGDR: stochastic gradient descent with warm restarts, 2017, Equation 5"
_URL = "https://arxiv.org/abs/1608.03983"
_BITS = 24  # of the cycle number; larger integers are not exact in float32
_TOGETHER = 6  # bits per fusion; on a CPU the compile time of a fusion is exponential in this number (jaxlib 0.12)


@register.schedule("cosine", source=_SOURCE, url=_URL, year=2017)
def cosine(peak: Number, steps: Number, floor: Number = 0.0) -> optax.Schedule:
    """Cosine decay: floor + (peak - floor) (1 + cos(pi min(t / steps, 1))) / 2.

    From step `steps` on it is constant. It has no restarts.

    Source: Loshchilov & Hutter (2017), Equation 5.
    """

    def schedule(step: Any) -> Array:
        return _cosine(part(real(step), real(steps)), peak, floor)

    return schedule


@register.schedule("sgdr", source=_SOURCE, url=_URL, year=2017)
def sgdr(peak: Number, period: Number, multiplier: Number = 1.0, floor: Number = 0.0) -> optax.Schedule:
    """Cosine decay with warm restarts: cycle i = 0, 1, ... decays from `peak` to `floor` in period multiplier^i steps.

    The paper recommends a multiplier of 1 or 2. For a multiplier below 1 the cycles sum to period / (1 - multiplier)
    steps, after which the value is NaN.

    Source: Loshchilov & Hutter (2017), Equation 5 and the T_0 and T_mult below it.
    """

    def schedule(step: Any) -> Array:
        t, length, m = real(step), real(period), real(multiplier)
        cycle_length, start = _cycle(jax.lax.stop_gradient(t / length), m)
        return _cosine((t / length - start) / cycle_length, peak, floor)

    return schedule


def _cycle(t: Array, m: Array) -> tuple[Array, Array]:
    """Length m^i and start 1 + m + ... + m^(i-1) of the cycle i that contains t, in units of the first period."""
    growth = jnp.where(m == 1, 1.0, m - 1)
    # Solves (m^i - 1) / (m - 1) = t for i. Rounding may give a neighbouring cycle: start one before, and advance.
    i = jnp.where(m == 1, t, jnp.log1p(t * growth) / jnp.log1p(growth))
    length, start = _powers(jnp.maximum(jnp.floor(jax.lax.stop_gradient(i)) - 1, 0.0), m)
    for _ in range(2):
        later = start + length <= t
        length, start = jnp.where(later, length * m, length), jnp.where(later, start + length, start)
    return length, jnp.where(jnp.isnan(i), i, start)


def _powers(i: Array, m: Array) -> tuple[Array, Array]:
    """m^i and 1 + m + ... + m^(i-1) by repeated squaring: exact for integers, and without a division by m - 1."""
    power, total, count = jnp.ones_like(i * m), jnp.zeros_like(i * m), i.astype(jnp.int32)
    for bit in reversed(range(_BITS)):
        power, total = power * power, total * (1 + power)
        odd = (count >> bit) % 2 == 1
        power, total = jnp.where(odd, power * m, power), jnp.where(odd, total + power, total)
        if bit % _TOGETHER == 0:
            power, total = jax.lax.optimization_barrier((power, total))
    return power, total


def _cosine(fraction: Array, peak: Number, floor: Number) -> Array:
    return real(floor) + (real(peak) - real(floor)) * (1 + jnp.cos(jnp.pi * fraction)) / 2
