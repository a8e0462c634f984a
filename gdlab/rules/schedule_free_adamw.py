"""Schedule-free AdamW (Defazio et al., 2024). https://arxiv.org/abs/2405.15682"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import each, root, zeros
from gdlab.rules.moments import update_moment
from gdlab.rules.schedule_free_sgd import ScheduleFreeState, average_and_move, init_points
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class ScheduleFreeAdamWState(NamedTuple):
    """The second moment of the gradient, and the points z and x."""

    count: Array  # type: ignore[assignment]  # t, [] int32: steps taken
    nu: PyTree  # v, shaped like params, at least float32
    points: ScheduleFreeState

    def evaluation(self, params: Params) -> Params:
        """The point at which a run is evaluated: x, the weighted average of the points z."""
        return self.points.evaluation(params)


@register.rule(
    "schedule_free_adamw",
    source="Defazio et al., The road less scheduled, 2024, Algorithm 1",
    url="https://arxiv.org/abs/2405.15682",
    year=2024,
    ranges={
        "lr": (1e-5, 1.0),
        "b1": (0.1, 0.98),
        "b2": (0.9, 0.9999),
        "eps": (1e-12, 1e-2),
        "weight_decay": (0.0, 0.1),
        "warmup": (1, 8),
    },
    needs=("params",),
    memory=3,
    optax=None,
    differs="Optax weights the average by the largest lr so far instead of the square of lr sqrt(1 - b2^t), and adds "
    "eps to the root of the bias-corrected v.",
)
@schedulable
def schedule_free_adamw(
    lr: Hyperparameter = 2.5e-3,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    weight_decay: Hyperparameter = 0.0,
    warmup: int = 1,
) -> Rule:
    """Schedule-free AdamW: z <- z - a (g / (sqrt(v) + eps) + weight_decay y), x <- x + c (z - x), y <- z + b1 (x - z).

    y are the parameters, where g is taken; a run is evaluated at x. v <- b2 v + (1 - b2) g^2 from 0, and on step
    t = 1, 2, ... a = a_t = lr sqrt(1 - b2^t) min(1, t / warmup) and c = a_t^2 / (a_1^2 + ... + a_t^2). The average of
    points replaces the average of gradients.

    Source: Defazio et al. (2024), Algorithm 1.

    Raises:
        ValueError: `update` is called without the parameters.

    >>> rule = schedule_free_adamw(lr=0.5)
    >>> updates, state = rule.update(3.0, rule.init(1.0), 1.0)
    >>> round(float(updates), 5)
    -0.5
    """

    def rate(_: Array, *, t: Array, lr: Array, b2: Array, warmup: Array) -> Array:
        return lr * jnp.sqrt(1 - b2**t) * jnp.minimum(1, t / jnp.maximum(warmup, 1))

    def descend(z: Array, g: Array, v: Array, y: Array, *, a: Array, eps: Array, weight_decay: Array) -> Array:
        return z - a * (g / (root(v) + eps) + weight_decay * y)

    def init(params: Params) -> ScheduleFreeAdamWState:
        return ScheduleFreeAdamWState(jnp.zeros([], jnp.int32), zeros(params), init_points(params))

    @requires_extras("schedule_free_adamw")
    def update(
        grads: Grads, state: ScheduleFreeAdamWState, params: Params, **extra: Any
    ) -> tuple[Updates, ScheduleFreeAdamWState]:
        t, points = optax.safe_increment(state.count), state.points
        v = update_moment(grads, state.nu, order=2, b2=b2)
        a = each(rate, points.weight_sum, t=t, lr=lr, b2=b2, warmup=warmup)
        z = each(descend, points.z, grads, v, params, a=a, eps=eps, weight_decay=weight_decay)
        updates, after = average_and_move(grads, params, points, z, a**2, b1=b1)
        return updates, ScheduleFreeAdamWState(t, v, after)

    return Rule(init, update)
