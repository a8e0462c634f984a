"""Normalised gradient descent (Nesterov, 1984; Hazan, Levy & Shalev-Shwartz, 2015). https://arxiv.org/abs/1507.02030"""

from typing import Any

import optax

from gdlab import register
from gdlab.pytrees import norm
from gdlab.rules.leafwise import divide, each, widen
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, Rule, State, Updates


@register.rule(
    "normalised_gd",
    source="Hazan, Levy & Shalev-Shwartz, Beyond convexity: stochastic quasi-convex optimization, 2015, Algorithm 1",
    url="https://arxiv.org/abs/1507.02030",
    year=2015,
    ranges={"lr": (1e-4, 1.0)},
    scope="tree",
    memory=0,
)
@schedulable
def normalised_gd(lr: Hyperparameter = 0.01) -> Rule:
    """Normalised gradient descent: u = -lr g / |g|, |g| the Euclidean norm over all parameters; 0 where g is 0.

    Every step has the length lr, however small or large the gradient. So plateaus and saddles do not slow the rule
    down, and it converges only if lr decays: give a schedule.

    Source: Nesterov (1984); Hazan, Levy & Shalev-Shwartz (2015), Algorithm 1.

    >>> rule = normalised_gd(lr=0.5)
    >>> updates, state = rule.update(-8.0, rule.init(1.0))
    >>> float(updates)
    0.5
    """

    def formula(g: Array, lr: Array, norm: Array) -> Array:
        return -lr * divide(g, norm)

    def update(grads: Grads, state: State, params: Params | None = None, **extra: Any) -> tuple[Updates, State]:
        return each(formula, grads, lr=lr, norm=norm(widen(grads))), state

    return Rule(optax.init_empty_state, update)
