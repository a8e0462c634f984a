"""Normalised gradient descent (Nesterov, 1984; Hazan, Levy & Shalev-Shwartz, 2015). https://arxiv.org/abs/1507.02030"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.pytrees import norm
from gdlab.rules.leafwise import each, widen
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, Rule, Updates


class NormalisedGDState(NamedTuple):
    """Normalised gradient descent remembers nothing."""


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

    Every step has the length lr, on a plateau as in a ravine. So it leaves a saddle as fast as any slope, and comes to
    rest only as lr shrinks: give a schedule.

    Source: Nesterov (1984); Hazan, Levy & Shalev-Shwartz (2015), Algorithm 1.

    >>> rule = normalised_gd(lr=0.5)
    >>> updates, state = rule.update(-8.0, rule.init(1.0))
    >>> float(updates)
    0.5
    """

    def init(params: Params) -> NormalisedGDState:
        return NormalisedGDState()

    def update(
        grads: Grads, state: NormalisedGDState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, NormalisedGDState]:
        return each(lambda g, lr, norm: -lr * over(g, norm), grads, lr=lr, norm=norm(widen(grads))), state

    return Rule(init, update)


def over(x: Array, norm: Array) -> Array:
    """x / norm; 0 where the norm is 0."""
    return jnp.where(norm > 0, x / jnp.where(norm > 0, norm, 1), 0)
