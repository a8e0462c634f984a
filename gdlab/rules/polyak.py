"""Polyak's step size (Polyak, 1969). https://doi.org/10.1016/0041-5553(69)90061-5"""

from typing import Any

import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.pytrees import dot
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import divide, each, widen
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, Rule, State, Updates


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
    differs="Where f < f_min, optax moves uphill (not with variant sps+); its `scaling` multiplies g before the ratio.",
)
@schedulable
def polyak(lr: Hyperparameter = 1.0, f_min: Hyperparameter = 0.0, max_step: Hyperparameter = 1.0) -> Rule:
    """Polyak's step size: u = -lr min((f - f_min)^+ / |g|^2, max_step) g, |g| over all parameters.

    f is the loss at the parameters (the extra argument `value`) and f_min its least value, or an estimate of it. For
    lr = 1 the step is the one at which the tangent plane of the loss reaches f_min; Polyak's lr lies between 0 and 2.
    `max_step` is the cap of Loizou et al. (2021), for batches; an infinite one gives Polyak's rule. Differs from optax
    where f < f_min, where this update is 0, and in lr: optax multiplies g by lr before it computes the ratio.

    Source: Polyak (1969); Loizou et al. (2021), https://arxiv.org/abs/2002.10542, Equation 5, for the cap.

    Raises:
        ValueError: `update` is called without `value`.

    >>> rule = polyak(lr=1.0, max_step=2.0)
    >>> updates, state = rule.update(4.0, rule.init(2.0), value=8.0)
    >>> float(updates)
    -2.0
    """

    def step_size(square: Array, value: Array, *, lr: Array, f_min: Array, max_step: Array) -> Array:
        return lr * jnp.minimum(divide(jnp.maximum(value - f_min, 0), square), max_step)

    @requires_extras("polyak")
    def update(
        grads: Grads, state: State, params: Params | None = None, *, value: Array, **extra: Any
    ) -> tuple[Updates, State]:
        wide = widen(grads)
        size = each(step_size, dot(wide, wide), value, lr=lr, f_min=f_min, max_step=max_step)
        return each(lambda g, a: -a * g, grads, a=size), state

    return Rule(optax.init_empty_state, update)
