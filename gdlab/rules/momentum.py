"""Momentum, the heavy ball (Polyak, 1964). https://doi.org/10.1016/0041-5553(64)90137-5"""

import math
from typing import Any

from gdlab import register
from gdlab.rules.leafwise import each
from gdlab.rules.moments import VelocityState, init_velocity
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, Rule, Updates


def stability(beta: float = 0.9, dampening: float = 0.0) -> float:
    """The constant c: on a quadratic with largest curvature L, heavy ball is stable for lr < c / L."""
    if beta > 1:
        return 0.0  # it diverges at any lr
    return math.inf if dampening == 1 else 2 * (1 + beta) / (1 - dampening)


@register.rule(
    "momentum",
    source="Polyak, Some methods of speeding up the convergence of iteration methods, 1964",
    url="https://doi.org/10.1016/0041-5553(64)90137-5",
    year=1964,
    ranges={"lr": (1e-4, 10.0), "beta": (0.0, 0.99), "dampening": (0.0, 0.99)},
    stability=stability,
    memory=1,
    optax="sgd",
    optax_with={"momentum": 0.9},
    differs="PyTorch does not apply dampening on the first step.",
)
@schedulable
def momentum(lr: Hyperparameter = 0.1, beta: Hyperparameter = 0.9, dampening: Hyperparameter = 0.0) -> Rule:
    """Heavy-ball momentum: v <- beta v + (1 - dampening) g, u = -lr v, from v = 0.

    By default v is a sum of gradients, so for a constant gradient the step tends to lr / (1 - beta) times the gradient;
    in `momentum_ema` v is an average. On a quadratic whose largest curvature is L the rule is stable for
    lr < 2 (1 + beta) / ((1 - dampening) L).

    Differs from PyTorch's SGD, whose first step does not dampen. Polyak writes the same iterates as
    x_{t+1} = x_t - lr g + beta (x_t - x_{t-1}). The two forms differ if lr is a schedule, because here v does not
    contain lr.

    Source: Polyak (1964).

    >>> rule = momentum(lr=0.5, beta=0.5)
    >>> _, state = rule.update(2.0, rule.init(1.0))
    >>> float(rule.update(2.0, state)[0])
    -1.5
    """

    def accumulate(v: Array, g: Array, beta: Array, dampening: Array) -> Array:
        return beta * v + (1 - dampening) * g

    def update(
        grads: Grads, state: VelocityState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, VelocityState]:
        v = each(accumulate, state.velocity, grads, beta=beta, dampening=dampening)
        return each(lambda _, v, lr: -lr * v, grads, v, lr=lr), VelocityState(v)

    return Rule(init_velocity, update)
