"""LARS, layer-wise adaptive rate scaling (You, Gitman & Ginsburg, 2017). https://arxiv.org/abs/1708.03888"""

from typing import Any

import jax.numpy as jnp

from gdlab import register
from gdlab.pytrees import norm
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import each
from gdlab.rules.moments import VelocityState, init_velocity
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, Rule, Updates


@register.rule(
    "lars",
    source="You, Gitman & Ginsburg, Large batch training of convolutional networks, 2017, Algorithm 1",
    url="https://arxiv.org/abs/1708.03888",
    year=2017,
    ranges={"lr": (1e-2, 1e3), "momentum": (0.0, 0.99), "weight_decay": (0.0, 0.1), "trust": (1e-4, 0.1)},
    needs=("params",),
    scope="leaf",
    memory=1,
    optax_with={"trust_coefficient": 0.001},
    differs="Optax divides by the norm of g + weight_decay x, the paper by |g| + weight_decay |x|.",
)
@schedulable
def lars(
    lr: Hyperparameter = 1.0,
    momentum: Hyperparameter = 0.9,
    weight_decay: Hyperparameter = 0.0,
    trust: Hyperparameter = 1e-3,
) -> Rule:
    """LARS: v <- momentum v + lr r (g + weight_decay x), u = -v, r = trust |x| / (|g| + weight_decay |x|).

    For each leaf x of the parameters and its gradient g, with |.| the Euclidean norm: without momentum and weight decay
    the step of a leaf has the length lr trust |x|. Where |x| or |g| is 0, r is 1, as in optax; the paper does not
    define r there. The velocity contains lr, as in the paper.

    Source: You, Gitman & Ginsburg (2017), Algorithm 1.

    Raises:
        ValueError: `update` is called without the parameters.

    >>> rule = lars(lr=0.5, trust=0.25)
    >>> updates, state = rule.update(3.0, rule.init(2.0), 2.0)
    >>> float(updates)
    -0.25
    """

    def accumulate(
        v: Array, g: Array, x: Array, *, lr: Array, momentum: Array, weight_decay: Array, trust: Array
    ) -> Array:
        params_norm, grads_norm = norm(x).astype(v.dtype), norm(g).astype(v.dtype)
        positive = (params_norm > 0) & (grads_norm > 0)
        denominator = jnp.where(positive, grads_norm, 1) + weight_decay * params_norm
        ratio = jnp.where(positive, trust * params_norm / denominator, 1)
        return momentum * v + lr * ratio * (g + weight_decay * x)

    @requires_extras("lars")
    def update(grads: Grads, state: VelocityState, params: Params, **extra: Any) -> tuple[Updates, VelocityState]:
        numbers = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust}
        v = each(accumulate, state.velocity, grads, params, **numbers)
        return each(lambda _, v: -v, grads, v), VelocityState(v)

    return Rule(init_velocity, update)
