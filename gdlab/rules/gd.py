"""Gradient descent (Cauchy, 1847, "Méthode générale pour la résolution des systèmes d'équations simultanées")."""

from typing import Any

from gdlab import register
from gdlab.rules.leafwise import each, like
from gdlab.rules.scheduled import schedulable
from gdlab.types import Grads, Params, Rule, Updates


@register.rule(
    "gd",
    source="Cauchy 1847",
    year=1847,
    ranges={"lr": (1e-4, 10.0)},
    stability=lambda: 2.0,
)
@schedulable
def gd(lr: float = 0.1) -> Rule:
    """Gradient descent: x <- x - lr g.

    With batches it is stochastic gradient descent; the rule is the same. On a quadratic whose greatest curvature is L
    it converges for lr < 2/L and diverges above.

    >>> import jax.numpy as jnp
    >>> rule = gd(lr=0.5)
    >>> rule.update(jnp.array([2.0]), rule.init(jnp.array([1.0])))[0].tolist()
    [-1.0]
    """

    def update(grads: Grads, state: tuple[()], params: Params | None = None, **extra: Any) -> tuple[Updates, tuple[()]]:
        return like(each(lambda g, lr: -lr * g, grads, lr=lr), grads), state

    return Rule(lambda params: (), update)
