"""Nesterov's accelerated gradient (Nesterov, 1983), in the form of Sutskever et al. (2013).
https://proceedings.mlr.press/v28/sutskever13.html
"""

from typing import Any

from gdlab import register
from gdlab.rules.leafwise import each, like, zeros
from gdlab.rules.momentum import MomentumState
from gdlab.rules.scheduled import schedulable
from gdlab.types import Grads, Params, Rule, Updates


@register.rule(
    "nesterov",
    source="Nesterov 1983; Sutskever et al. 2013, eq. 3-4",
    year=1983,
    ranges={"lr": (1e-4, 1.0), "beta": (0.0, 0.999)},
    stability=lambda beta=0.9: (2 + 2 * beta) / (1 + 2 * beta),
)
@schedulable
def nesterov(lr: float = 0.1, beta: float = 0.9) -> Rule:
    """Nesterov momentum: v <- beta v + g, x <- x - lr (g + beta v), with v = 0 at the start.

    This is Sutskever's rule, which takes the gradient at the look-ahead point x + beta (x - x_previous), written for
    that point: what is called x here, and where the gradient is taken, is the look-ahead point. The momentum is a sum.
    On a quadratic whose greatest curvature is L it is stable for lr < (2 + 2 beta) / ((1 + 2 beta) L).

    The same as PyTorch's SGD and optax's `sgd` with `nesterov=True`.

    >>> import jax.numpy as jnp
    >>> rule = nesterov(lr=1.0, beta=0.5)
    >>> rule.update(jnp.array([1.0]), rule.init(jnp.array([0.0])))[0].tolist()
    [-1.5]
    """

    def update(
        grads: Grads, state: MomentumState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, MomentumState]:
        velocity = each(lambda v, g, beta: beta * v + g, state.velocity, grads, beta=beta)
        updates = each(lambda v, g, lr, beta: -lr * (g + beta * v), velocity, grads, lr=lr, beta=beta)
        return like(updates, grads), MomentumState(velocity)

    return Rule(lambda params: MomentumState(zeros(params)), update)
