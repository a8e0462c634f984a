"""Adam (Kingma, Ba, 2015). https://arxiv.org/abs/1412.6980"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.rules.leafwise import each, like, zeros
from gdlab.rules.scheduled import schedulable
from gdlab.types import Array, Grads, Params, Rule, Updates


class AdamState(NamedTuple):
    """Moving averages, and how many gradients they hold."""

    count: Array  # shape (), int32
    mean: Params  # of gradients; like the params, at least float32
    square: Params  # of squared gradients, likewise


@register.rule(
    "adam",
    source="Kingma & Ba 2015, Algorithm 1",
    year=2015,
    ranges={"lr": (1e-5, 1.0), "b1": (0.0, 0.99), "b2": (0.9, 0.9999), "eps": (1e-12, 1e-2)},
)
@schedulable
def adam(lr: float = 1e-3, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Rule:
    """Adam: m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, x <- x - lr m^ / (sqrt(v^) + eps).

    m^ = m / (1 - b1^t) and v^ = v / (1 - b2^t), at the t-th step (t = 1, 2, ...), correct the averages for their start
    at 0. Epsilon stands outside the root and is added after the correction, as in Algorithm 1, in PyTorch and in optax.

    >>> import jax.numpy as jnp
    >>> rule = adam(lr=0.5, eps=0.0)
    >>> [round(u, 6) for u in rule.update(jnp.array([3.0, -0.1]), rule.init(jnp.zeros(2)))[0].tolist()]
    [-0.5, 0.5]
    """

    def update(grads: Grads, state: AdamState, params: Params | None = None, **extra: Any) -> tuple[Updates, AdamState]:
        count, mean, square = averages(state, grads, b1, b2)
        updates = each(step, mean, square, lr=lr, b1=b1, b2=b2, eps=eps, t=count)
        return like(updates, grads), AdamState(count, mean, square)

    return Rule(start, update)


def start(params: Params) -> AdamState:
    """The state before the first step."""
    return AdamState(jnp.zeros((), jnp.int32), zeros(params), zeros(params))


def averages(state: AdamState, grads: Grads, b1: Any, b2: Any) -> AdamState:
    """The moving averages with one gradient more."""
    mean = each(lambda m, g, b1: b1 * m + (1 - b1) * g, state.mean, grads, b1=b1)
    square = each(lambda v, g, b2: b2 * v + (1 - b2) * g * g, state.square, grads, b2=b2)
    return AdamState(state.count + 1, mean, square)


def step(m: Array, v: Array, lr: Array, b1: Array, b2: Array, eps: Array, t: Array) -> Array:
    """-lr m^ / (sqrt(v^) + eps) for one leaf."""
    return -lr * (m / (1 - b1**t)) / (jnp.sqrt(v / (1 - b2**t)) + eps)
