"""Lion, evolved sign momentum (Chen et al., 2023). https://arxiv.org/abs/2302.06675"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import each, zeros
from gdlab.rules.moments import moving_average, update_moment
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class LionState(NamedTuple):
    """The average of gradients."""

    mu: PyTree  # m, shaped like params, at least float32


@register.rule(
    "lion",
    source="Chen et al., Symbolic discovery of optimization algorithms, 2023, Algorithm 2",
    url="https://arxiv.org/abs/2302.06675",
    year=2023,
    ranges={"lr": (1e-5, 1.0), "b1": (0.5, 0.99), "b2": (0.5, 0.999), "weight_decay": (0.0, 1.0)},
    needs=("params",),
    memory=1,
    optax_with={"weight_decay": 0.0},
)
@schedulable
def lion(
    lr: Hyperparameter = 1e-4,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.99,
    weight_decay: Hyperparameter = 0.0,
) -> Rule:
    """Lion: u = -lr (sign(b1 m + (1 - b1) g) + weight_decay x), then m <- b2 m + (1 - b2) g, from m = 0.

    x are the parameters. The average whose sign is taken has the decay b1, the stored one b2. The vector of signs has a
    larger norm than Adam's direction, so the paper recommends an lr 3 to 10 times smaller than AdamW's and a weight
    decay larger by the same factor. Like `sign_gd` it converges only if lr decays. Optax has weight_decay 1e-3 by
    default.

    Source: Chen et al. (2023), Algorithm 2.

    Raises:
        ValueError: `update` is called without the parameters.

    >>> rule = lion(lr=0.5, weight_decay=0.25)
    >>> updates, state = rule.update(3.0, rule.init(2.0), 2.0)
    >>> float(updates)
    -0.75
    """

    def formula(g: Array, m: Array, x: Array, *, lr: Array, b1: Array, weight_decay: Array) -> Array:
        return -lr * (jnp.sign(moving_average(m, g, b1)) + weight_decay * x)

    def init(params: Params) -> LionState:
        return LionState(zeros(params))

    @requires_extras("lion")
    def update(grads: Grads, state: LionState, params: Params, **extra: Any) -> tuple[Updates, LionState]:
        updates = each(formula, grads, state.mu, params, lr=lr, b1=b1, weight_decay=weight_decay)
        return updates, LionState(update_moment(grads, state.mu, b2=b2))

    return Rule(init, update)
