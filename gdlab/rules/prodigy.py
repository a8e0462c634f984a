"""Prodigy (Mishchenko & Defazio, 2023). https://arxiv.org/abs/2306.06101"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.pytrees import dot, precision
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import divide, each, root, widen, zeros
from gdlab.rules.moments import bias_correction
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class ProdigyState(NamedTuple):
    """The moments of the gradient, and the terms of the distance estimate."""

    count: Array  # type: ignore[assignment]  # k, [] int32: steps taken
    distance: Array  # d, [], at least float32: the estimate
    numerator: Array  # r / d0^2, [], at least float32: an average of g.(x0 - x)
    grad_sum: PyTree  # s / d0^2, shaped like params, at least float32: the same average of g
    initial_params: PyTree  # x0, at least float32
    mu: PyTree  # m / d0, shaped like params, at least float32
    nu: PyTree  # v / d0^2, shaped like params, at least float32


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
    differs="Optax corrects the bias, as with `corrected=True`, and multiplies eps by the new d.",
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
    """Prodigy: Adam's step times d, a lower estimate of the distance |x0 - x*|: u = -lr d m / (sqrt(v) + d eps).

    m <- b1 m + (1 - b1) d g and v <- b2 v + (1 - b2) d^2 g^2, from 0 and without bias correction. d starts at
    `first_distance` and never falls: after a step it is max(d, r / |s|_1), with sums over all parameters

    r <- sqrt(b2) r + (1 - sqrt(b2)) lr d^2 g.(x0 - x) and s <- sqrt(b2) s + (1 - sqrt(b2)) lr d^2 g.

    x are the parameters, x0 the initial ones. With `corrected` lr is multiplied by sqrt(1 - b2^k) / (1 - b1^k) on step
    k = 1, 2, ..., which corrects the bias of m and v; r and s contain that lr too. The authors recommend lr = 1 with a
    schedule that decays to 0. If a step of length first_distance is lost in the rounding of x, d never grows.

    Source: Mishchenko & Defazio (2023), Algorithm 4, with lr = gamma and first_distance = d0.

    Raises:
        ValueError: `update` is called without the parameters.

    >>> rule = prodigy(first_distance=0.25, b1=0.5, b2=0.75, eps=0.0)
    >>> updates, state = rule.update(3.0, rule.init(1.0), 1.0)
    >>> float(updates)
    -0.25
    """

    def rate(_: Array, *, lr: Array, k: Array, b1: Array, b2: Array) -> Array:
        return bias_correction(lr * jnp.sqrt(1 - b2**k), b1, k) if corrected else lr

    def average(past: Array, new: Array, *, weight: Array, b2: Array) -> Array:
        return root(b2) * past + (1 - root(b2)) * weight * new

    def formula(_: Array, m: Array, v: Array, *, step: Array, d: Array, eps: Array) -> Array:
        return -step * divide(m, root(v) + d * eps)

    def init(params: Params) -> ProdigyState:
        zero = jnp.zeros([], precision(widen(params)))
        distance = each(lambda _, first_distance: first_distance, zero, first_distance=first_distance)
        trees = zeros(params), widen(params), zeros(params), zeros(params)
        return ProdigyState(jnp.zeros([], jnp.int32), distance, zero, *trees)

    @requires_extras("prodigy")
    def update(grads: Grads, state: ProdigyState, params: Params, **extra: Any) -> tuple[Updates, ProdigyState]:
        count, wide = optax.safe_increment(state.count), widen(grads)
        gamma = each(rate, state.distance, lr=lr, k=count, b1=b1, b2=b2)
        # Everything is in units of d0, so that d is 1 at first: d0^2 = 1e-12 would make small gradients underflow.
        d = each(lambda d, d0: d / d0, state.distance, d0=first_distance)
        offset = each(lambda x0, x: x0 - x, state.initial_params, params)
        r = each(average, state.numerator, dot(wide, offset), weight=gamma * d**2, b2=b2)
        s = each(average, state.grad_sum, wide, weight=gamma * d**2, b2=b2)
        m = each(lambda m, g, d, b1: b1 * m + (1 - b1) * d * g, state.mu, wide, d=d, b1=b1)
        v = each(lambda v, g, d, b2: b2 * v + (1 - b2) * (d * g) ** 2, state.nu, wide, d=d, b2=b2)
        updates = each(formula, grads, m, v, step=gamma * state.distance, d=d, eps=eps)
        s_norm = dot(s, jax.tree.map(jnp.sign, s)).astype(d.dtype)
        distance = jnp.maximum(state.distance, divide(r, s_norm))
        return updates, ProdigyState(count, distance, r, s, state.initial_params, m, v)

    return Rule(init, update)
