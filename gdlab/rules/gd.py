"""Gradient descent (Cauchy, 1847). https://doi.org/10.4171/dms/6/27"""

from typing import Any

import optax

from gdlab import register
from gdlab.rules.leafwise import each
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Grads, Params, Rule, State, Updates


def _stability() -> float:
    return 2.0


@register.rule(
    "gd",
    source="Cauchy, Méthode générale pour la résolution des systèmes d'équations simultanées, 1847",
    url="https://doi.org/10.4171/dms/6/27",
    year=1847,
    ranges={"lr": (1e-4, 10.0)},
    stability=_stability,
    memory=0,
    optax="sgd",
)
@schedulable
def gd(lr: Hyperparameter = 0.1) -> Rule:
    """Gradient descent: u = -lr g.

    On a quadratic whose largest curvature is L it converges for lr < 2 / L. On batches of examples it is stochastic
    gradient descent (Robbins & Monro, 1951).

    Source: Cauchy (1847); for the history see Lemaréchal, Cauchy and the gradient method (2012).

    >>> rule = gd(lr=0.5)
    >>> updates, state = rule.update(2.0, rule.init(1.0))
    >>> float(updates)
    -1.0
    """

    def update(grads: Grads, state: State, params: Params | None = None, **extra: Any) -> tuple[Updates, State]:
        return each(lambda g, lr: -lr * g, grads, lr=lr), state

    return Rule(optax.init_empty_state, update)
