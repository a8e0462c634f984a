"""Polyak's step size (Polyak, 1969). https://doi.org/10.1016/0041-5553(69)90061-5"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.pytrees import dot
from gdlab.rules.leafwise import each, widen
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, Rule, Updates


class PolyakState(NamedTuple):
    """The step size is read off the loss; nothing is remembered."""


@register.rule(
    "polyak",
    source="Polyak, Minimization of unsmooth functionals, 1969",
    url="https://doi.org/10.1016/0041-5553(69)90061-5",
    year=1969,
    ranges={"lr": (0.01, 1.0), "f_min": (-1.0, 1.0), "max_step": (1e-3, 1.0)},
    needs=("value",),
    scope="tree",
    memory=0,
    optax="polyak_sgd",
    differs="Optax climbs below f_min, unless its variant is sps+; its `scaling` multiplies g before the ratio.",
)
@schedulable
def polyak(lr: Hyperparameter = 1.0, f_min: Hyperparameter = 0.0, max_step: Hyperparameter = 1.0) -> Rule:
    """Polyak's step size: u = -lr min((f - f_min)^+ / |g|^2, max_step) g, |g| over all parameters.

    f is the loss at the point, f_min its least value, or what it is hoped to be. For lr = 1 it is the step that would
    bring the loss's tangent plane down to f_min; Polyak's lr lies between 0 and 2. The cap is that of Loizou et al.
    (2021), for batches; an infinite one is Polyak's rule. Differs from optax below f_min, where it stays, and in lr,
    by which optax multiplies g before it takes the ratio.

    Source: Polyak (1969); Loizou et al. (2021), https://arxiv.org/abs/2002.10542, Equation 5, for the cap.

    >>> rule = polyak(lr=1.0, max_step=2.0)
    >>> updates, state = rule.update(4.0, rule.init(2.0), value=8.0)
    >>> float(updates)
    -2.0
    """

    def init(params: Params) -> PolyakState:
        return PolyakState()

    def update(
        grads: Grads, state: PolyakState, params: Params | None = None, *, value: Array, **extra: Any
    ) -> tuple[Updates, PolyakState]:
        def step(square: Array, value: Array, *, lr: Array, f_min: Array, max_step: Array) -> Array:
            steep = square > 0
            ratio = jnp.where(steep, jnp.maximum(value - f_min, 0) / jnp.where(steep, square, 1), 0)
            return lr * jnp.minimum(ratio, max_step)

        wide = widen(grads)
        length = each(step, dot(wide, wide), value, lr=lr, f_min=f_min, max_step=max_step)
        return each(lambda g, a: -a * g, grads, a=length), state

    return Rule(init, update)
