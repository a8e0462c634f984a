"""Schedule-free SGD (Defazio et al., 2024). https://arxiv.org/abs/2405.15682"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import divide, each, narrow, widen
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class ScheduleFreeState(NamedTuple):
    """The sequences z and x; the parameters y lie between them."""

    weight_sum: Array  # [], the sum of the weights of the average
    z: PyTree  # shaped like params, at least float32
    x: PyTree  # the average of z, shaped like params, at least float32

    def evaluation(self, params: Params) -> Params:
        """The point at which a run is evaluated: x, the weighted average of the points z."""
        return narrow(self.x, params)


@register.rule(
    "schedule_free_sgd",
    source="Defazio et al., The road less scheduled, 2024, Equations 3 to 5",
    url="https://arxiv.org/abs/2405.15682",
    year=2024,
    ranges={"lr": (1e-4, 10.0), "beta": (0.1, 0.98), "weight_decay": (0.0, 0.1)},
    needs=("params",),
    memory=2,
    optax_with={"b1": 0.9},
    differs="Optax leaves the initial point out of the average, as with `from_start=False`.",
)
@schedulable
def schedule_free_sgd(
    lr: Hyperparameter = 0.1,
    beta: Hyperparameter = 0.9,
    weight_decay: Hyperparameter = 0.0,
    from_start: bool = True,
) -> Rule:
    """Schedule-free SGD: z <- z - lr (g + weight_decay y), x <- (1 - c) x + c z, y <- (1 - beta) z + beta x.

    y are the parameters and g is the gradient at y. A run is evaluated at x, which for a constant lr is the mean of all
    z: c = 1 / (t + 1) after step t. Where lr is a schedule the mean has the weights lr^2:
    c = lr_t^2 / (lr_1^2 + lr_1^2 + ... + lr_t^2), where the first lr_1^2 is the weight of the initial z.
    Without `from_start` the mean leaves out the initial z, as in the authors' code and in optax.

    Source: Defazio et al. (2024), Equations 3 to 5; weights as in its Algorithm 1.

    Raises:
        ValueError: `update` is called without the parameters.

    >>> rule = schedule_free_sgd(lr=0.5, beta=0.5)
    >>> updates, state = rule.update(2.0, rule.init(1.0), 1.0)
    >>> float(updates), float(state.x)
    (-0.75, 0.5)
    """

    def descend(z: Array, g: Array, y: Array, *, lr: Array, weight_decay: Array) -> Array:
        return z - lr * (g + weight_decay * y)

    @requires_extras("schedule_free_sgd")
    def update(
        grads: Grads, state: ScheduleFreeState, params: Params, **extra: Any
    ) -> tuple[Updates, ScheduleFreeState]:
        z = each(descend, state.z, grads, params, lr=lr, weight_decay=weight_decay)
        weight = each(lambda _, lr: lr**2, state.weight_sum, lr=lr)
        before = jnp.where((state.weight_sum == 0) & from_start, weight, state.weight_sum)
        return average_and_move(grads, params, state._replace(weight_sum=before), z, weight, beta=beta)

    return Rule(init_points, update)


def init_points(params: Params) -> ScheduleFreeState:
    """The initial state: z = x = params, and a sum of weights of 0."""
    return ScheduleFreeState(jnp.zeros([]), widen(params), widen(params))


def average_and_move(
    grads: Grads, params: Params, state: ScheduleFreeState, z: PyTree, weight: Array, **beta: Hyperparameter
) -> tuple[Updates, ScheduleFreeState]:
    """The update from y to the next y, and the state in which the new z is part of the average with the given weight.

    Pass the interpolation factor by its name in the rule: error messages use that name.
    """

    def interpolate(_: Array, y: Array, z: Array, x: Array, **beta: Array) -> Array:
        (factor,) = beta.values()
        return (1 - factor) * z + factor * x - y

    total = state.weight_sum + weight
    x = each(lambda x, z, c: (1 - c) * x + c * z, state.x, z, c=divide(weight, total))
    return each(interpolate, grads, params, z, x, **beta), ScheduleFreeState(total, z, x)
