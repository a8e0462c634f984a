"""Optimistic gradient descent (Daskalakis et al., 2018). https://arxiv.org/abs/1711.00141"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.rules.leafwise import each, narrow, zeros
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class OptimisticState(NamedTuple):
    """The gradient of the previous step."""

    count: Array  # type: ignore[assignment]  # t, [] int32: steps taken
    grads: PyTree  # g of the previous step, shaped like params, at least float32


@register.rule(
    "optimistic",
    source="Daskalakis, Ilyas, Syrgkanis & Zeng, Training GANs with optimism, 2018, Equation 4",
    url="https://arxiv.org/abs/1711.00141",
    year=2018,
    ranges={"lr": (1e-4, 10.0), "optimism": (0.0, 2.0)},
    memory=1,
    optax="optimistic_gradient_descent",
)
@schedulable
def optimistic(lr: Hyperparameter = 0.1, optimism: Hyperparameter = 1.0) -> Rule:
    """Optimistic gradient descent: u = -lr (g + optimism (g - g_last)), so -lr (2 g - g_last) for optimism = 1.

    g + (g - g_last) is a linear prediction of the next gradient. On the bilinear game x y the rule converges, where
    gradient descent diverges. On the first step, where there is no g_last, u = -lr g, as in optax. Optax names the
    weights alpha (1) and beta (`optimism`).

    Source: Daskalakis et al. (2018), Equation 4; optimism other than 1: Mokhtari et al. (2020),
    https://arxiv.org/abs/1901.08511.

    >>> rule = optimistic(lr=0.5)
    >>> _, state = rule.update(3.0, rule.init(1.0))
    >>> float(rule.update(2.0, state)[0])
    -0.5
    """

    def init(params: Params) -> OptimisticState:
        return OptimisticState(jnp.zeros([], jnp.int32), zeros(params))

    def update(
        grads: Grads, state: OptimisticState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, OptimisticState]:
        def formula(g: Array, last: Array, *, lr: Array, optimism: Array) -> Array:
            return -lr * (g + optimism * (g - jnp.where(state.count > 0, last, g)))

        updates = each(formula, grads, state.grads, lr=lr, optimism=optimism)
        return updates, OptimisticState(optax.safe_increment(state.count), narrow(grads, state.grads))

    return Rule(init, update)
