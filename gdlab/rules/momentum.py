"""Momentum, or the heavy ball (Polyak, 1964). https://doi.org/10.1016/0041-5553(64)90137-5"""

from typing import Any, NamedTuple

from gdlab import register
from gdlab.rules.leafwise import each, like, zeros
from gdlab.rules.scheduled import schedulable
from gdlab.types import Grads, Params, Rule, Updates


class MomentumState(NamedTuple):
    """The running sum of gradients."""

    velocity: Params  # like the params, at least float32


def _stability(beta: float = 0.9, dampening: float = 0.0, ema: bool = False) -> float:
    return 2 * (1 + beta) / (1 - (beta if ema else dampening))


@register.rule(
    "momentum",
    source="Polyak 1964",
    year=1964,
    ranges={"lr": (1e-4, 1.0), "beta": (0.0, 0.999)},
    stability=_stability,
)
@schedulable
def momentum(lr: float = 0.1, beta: float = 0.9, dampening: float = 0.0, ema: bool = False) -> Rule:
    """Momentum: v <- beta v + (1 - dampening) g, x <- x - lr v, with v = 0 at the start.

    The momentum is a sum unless `dampening` says otherwise: at a constant gradient the steps grow to lr g / (1 - beta).
    `ema=True` makes it a moving average, which is dampening = beta, and the steps grow to lr g.
    On a quadratic whose greatest curvature is L it is stable for lr < 2 (1 + beta) / ((1 - dampening) L).

    Differs from PyTorch's SGD in the first step alone: there v starts at g, whatever the dampening. Without dampening
    it is optax's `sgd(lr, momentum=beta)`.

    >>> import jax.numpy as jnp
    >>> rule = momentum(lr=1.0, beta=0.5)
    >>> state = rule.init(jnp.array([0.0]))
    >>> updates, state = rule.update(jnp.array([1.0]), state)
    >>> rule.update(jnp.array([1.0]), state)[0].tolist()
    [-1.5]
    """

    def update(
        grads: Grads, state: MomentumState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, MomentumState]:
        damped = beta if ema else dampening
        velocity = each(
            lambda v, g, beta, damped: beta * v + (1 - damped) * g, state.velocity, grads, beta=beta, damped=damped
        )
        return like(each(lambda v, lr: -lr * v, velocity, lr=lr), grads), MomentumState(velocity)

    return Rule(lambda params: MomentumState(zeros(params)), update)
