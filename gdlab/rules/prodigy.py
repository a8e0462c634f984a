"""Prodigy (Mishchenko & Defazio, 2023). https://arxiv.org/abs/2306.06101"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.pytrees import dot, precision
from gdlab.rules.leafwise import each, root, widen, zeros
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class ProdigyState(NamedTuple):
    """The moments of the gradient, and what the distance to the minimiser is estimated from."""

    step: Array  # k, [] int32: steps taken
    distance: Array  # d, [], at least float32: the estimate
    gain: Array  # r / d0^2, [], at least float32: an average of g.(x0 - x)
    weighted: PyTree  # s / d0^2, shaped like params, at least float32: the same average of g
    start: PyTree  # x0, at least float32
    mean: PyTree  # m / d0, shaped like params, at least float32
    mean_square: PyTree  # v / d0^2, shaped like params, at least float32


@register.rule(
    "prodigy",
    source="Mishchenko & Defazio, Prodigy: an expeditiously adaptive parameter-free learner, 2023, Algorithm 4",
    url="https://arxiv.org/abs/2306.06101",
    year=2023,
    ranges={
        "lr": (1e-2, 10.0),
        "b1": (0.0, 0.99),
        "b2": (0.9, 0.9999),
        "eps": (1e-12, 1e-2),
        "first_distance": (1e-8, 1e-2),
    },
    needs=("params",),
    scope="tree",
    memory=4,
    optax_with={"learning_rate": 1.0},
    differs="Optax corrects the step for the start at 0, as `corrected` does, and multiplies eps by the new d.",
)
@schedulable
def prodigy(
    lr: Hyperparameter = 1.0,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    first_distance: Hyperparameter = 1e-6,
    corrected: bool = False,
) -> Rule:
    """Prodigy: Adam's step times d, an estimate from below of the distance |x0 - x*|: u = -lr d m / (sqrt(v) + d eps).

    m <- b1 m + (1 - b1) d g and v <- b2 v + (1 - b2) d^2 g^2, from 0 and not corrected for it. d starts at
    `first_distance` and never falls: after a step it is max(d, r / |s|_1), with the sums over all parameters

    r <- sqrt(b2) r + (1 - sqrt(b2)) lr d^2 g.(x0 - x) and s <- sqrt(b2) s + (1 - sqrt(b2)) lr d^2 g.

    x are the parameters, x0 those at first. With `corrected` lr is multiplied by sqrt(1 - b2^k) / (1 - b1^k) on step
    k = 1, 2, ..., which corrects m and v, also where r and s have lr. lr = 1 is meant to need no tuning; give it a
    schedule that ends at 0. Where a step of first_distance is lost in the rounding of x, it never grows.

    Source: Mishchenko & Defazio (2023), Algorithm 4, with lr = gamma and first_distance = d0.

    Raises:
        ValueError: `update` is not given the parameters.

    >>> rule = prodigy(first_distance=0.25, b1=0.5, b2=0.75, eps=0.0)
    >>> updates, state = rule.update(3.0, rule.init(1.0), 1.0)
    >>> float(updates)
    -0.25
    """

    def init(params: Params) -> ProdigyState:
        nothing = jnp.zeros([], precision(widen(params)))
        distance = each(lambda _, first_distance: first_distance, nothing, first_distance=first_distance)
        sums = zeros(params), widen(params), zeros(params), zeros(params)
        return ProdigyState(jnp.zeros([], jnp.int32), distance, nothing, *sums)

    def update(
        grads: Grads, state: ProdigyState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ProdigyState]:
        if params is None:
            raise ValueError("prodigy measures how far the parameters have come: update(grads, state, params)")
        step, wide = optax.safe_increment(state.step), widen(grads)

        def rate(_: Array, *, lr: Array, k: Array, b1: Array, b2: Array) -> Array:
            return lr * jnp.sqrt(1 - b2**k) / (1 - b1**k) if corrected else lr

        def averaged(past: Array, new: Array, *, weight: Array, b2: Array) -> Array:
            return root(b2) * past + (1 - root(b2)) * weight * new

        gamma = each(rate, state.distance, lr=lr, k=step, b1=b1, b2=b2)
        # All in units of d0, in which d is 1 at first: 1e-6 and its square would make small gradients underflow.
        d = each(lambda d, d0: d / d0, state.distance, d0=first_distance)
        way = each(lambda x0, x: x0 - x, state.start, params)
        r = each(averaged, state.gain, dot(wide, way), weight=gamma * d**2, b2=b2)
        s = each(averaged, state.weighted, wide, weight=gamma * d**2, b2=b2)
        m = each(lambda m, g, d, b1: b1 * m + (1 - b1) * d * g, state.mean, wide, d=d, b1=b1)
        v = each(lambda v, g, d, b2: b2 * v + (1 - b2) * (d * g) ** 2, state.mean_square, wide, d=d, b2=b2)

        def down(_: Array, m: Array, v: Array, *, step: Array, d: Array, eps: Array) -> Array:
            below = root(v) + d * eps
            return -step * jnp.where(below > 0, m / jnp.where(below > 0, below, 1), 0)

        updates = each(down, grads, m, v, step=gamma * state.distance, d=d, eps=eps)
        length = dot(s, jax.tree.map(jnp.sign, s)).astype(d.dtype)
        further = jnp.maximum(state.distance, jnp.where(length > 0, r / jnp.where(length > 0, length, 1), 0))
        return updates, ProdigyState(step, further, r, s, state.start, m, v)

    return Rule(init, update)
