"""Optimistic gradient descent (Daskalakis et al., 2018). https://arxiv.org/abs/1711.00141"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.rules.leafwise import each, zeros
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class OptimisticState(NamedTuple):
    """The last gradient."""

    step: Array  # t, [] int32: steps taken
    last: PyTree  # g of the step before, shaped like params, at least float32


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

    The next gradient is foretold to differ from this one as this one does from the last. On the bilinear game x y it
    converges, where gradient descent spirals out. The first step, which has no last gradient, is gradient descent's, as
    in optax, whose alpha is 1 and whose beta is `optimism`.

    Source: Daskalakis et al. (2018), Equation 4; other optimisms: Mokhtari et al. (2020),
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
            return -lr * (g + optimism * (g - jnp.where(state.step > 0, last, g)))

        updates = each(formula, grads, state.last, lr=lr, optimism=optimism)
        after = each(lambda last, g: g, state.last, grads)
        return updates, OptimisticState(optax.safe_increment(state.step), after)

    return Rule(init, update)
