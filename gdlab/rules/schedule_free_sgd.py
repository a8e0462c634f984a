"""Schedule-free SGD (Defazio et al., 2024). https://arxiv.org/abs/2405.15682"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.rules.leafwise import each, narrow, widen
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class ScheduleFreeState(NamedTuple):
    """Two sequences of points; the parameters are a third, between them."""

    total: Array  # [], the sum of the weights of the average
    fast: PyTree  # z, shaped like params, at least float32
    mean: PyTree  # x, shaped like params, at least float32

    def evaluation(self, params: Params) -> Params:
        """The average x."""
        return narrow(self.mean, params)


@register.rule(
    "schedule_free_sgd",
    source="Defazio et al., The road less scheduled, 2024, Equations 3 to 5",
    url="https://arxiv.org/abs/2405.15682",
    year=2024,
    ranges={"lr": (1e-4, 10.0), "beta": (0.1, 0.98), "weight_decay": (0.0, 0.1)},
    needs=("params",),
    memory=2,
    optax_with={"b1": 0.9},
    differs="Optax leaves the starting point out of the average, as `from_start=False` does.",
)
@schedulable
def schedule_free_sgd(
    lr: Hyperparameter = 0.1,
    beta: Hyperparameter = 0.9,
    weight_decay: Hyperparameter = 0.0,
    from_start: bool = True,
) -> Rule:
    """Schedule-free SGD: z <- z - lr (g + weight_decay y), x <- (1 - c) x + c z, y <- (1 - beta) z + beta x.

    y are the parameters and g is the gradient at y; a run is judged at x, the mean of z_1 ... z_t at a constant rate:
    c = 1 / (t + 1) after step t. Where lr is a schedule the mean is weighted by lr^2:
    c = lr_t^2 / (lr_1^2 + lr_1^2 + ... + lr_t^2). Without `from_start` z_1, the starting point, is not in the mean, as
    in the authors' code and in optax.

    Source: Defazio et al. (2024), Equations 3 to 5; weights as in its Algorithm 1.

    Raises:
        ValueError: `update` is not given the parameters.

    >>> rule = schedule_free_sgd(lr=0.5, beta=0.5)
    >>> updates, state = rule.update(2.0, rule.init(1.0), 1.0)
    >>> float(updates), float(state.mean)
    (-0.75, 0.5)
    """

    def init(params: Params) -> ScheduleFreeState:
        return ScheduleFreeState(jnp.zeros([]), widen(params), widen(params))

    def update(
        grads: Grads, state: ScheduleFreeState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ScheduleFreeState]:
        if params is None:
            raise ValueError("schedule_free_sgd moves the parameters: update(grads, state, params) needs them")

        def downhill(z: Array, g: Array, y: Array, *, lr: Array, weight_decay: Array) -> Array:
            return z - lr * (g + weight_decay * y)

        z = each(downhill, state.fast, grads, params, lr=lr, weight_decay=weight_decay)
        weight = each(lambda _, lr: lr**2, state.total, lr=lr)
        begun = jnp.where((state.total == 0) & from_start, weight, state.total)
        after, updates = between(grads, params, state, z, begun, weight, beta)
        return updates, after

    return Rule(init, update)


def between(
    grads: Grads,
    params: Params,
    state: ScheduleFreeState,
    z: PyTree,
    total: Array,
    weight: Array,
    beta: Hyperparameter,
) -> tuple[ScheduleFreeState, Updates]:
    """The state with z in the average, its weight beside the `total` so far, and the way from y to the next y."""
    total = total + weight
    share = jnp.where(total > 0, weight / jnp.where(total > 0, total, 1), 0)
    x = each(lambda x, z, c: (1 - c) * x + c * z, state.mean, z, c=share)
    updates = each(lambda _, y, z, x, beta: (1 - beta) * z + beta * x - y, grads, params, z, x, beta=beta)
    return ScheduleFreeState(total, z, x), updates
