"""LAMB, layer-wise adaptive moments for batch training (You et al., 2020). https://arxiv.org/abs/1904.00962"""

from typing import Any

import jax.numpy as jnp

from gdlab import register
from gdlab.pytrees import norm
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import each
from gdlab.rules.moments import AdamState, adam_direction, init_moments, update_moments
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, Rule, Updates


@register.rule(
    "lamb",
    source="You et al., Large batch optimization for deep learning: training BERT in 76 minutes, 2020, Algorithm 2",
    url="https://arxiv.org/abs/1904.00962",
    year=2020,
    ranges={
        "lr": (1e-5, 1.0),
        "b1": (0.0, 0.99),
        "b2": (0.9, 0.9999),
        "eps": (1e-12, 1e-2),
        "weight_decay": (0.0, 0.1),
    },
    needs=("params",),
    scope="leaf",
    memory=2,
)
@schedulable
def lamb(
    lr: Hyperparameter = 1e-3,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-6,
    weight_decay: Hyperparameter = 0.0,
) -> Rule:
    """LAMB: u = -lr |x| d / |d| for each leaf, d = mhat / (sqrt(vhat) + eps) + weight_decay x.

    x is a leaf of the parameters and |.| its Euclidean norm; mhat and vhat are as in `adam`. The step of a leaf has the
    length lr |x|. Where |x| or |d| is 0, u = -lr d. The paper's phi is the identity here.

    Source: You et al. (2020), Algorithm 2.

    Raises:
        ValueError: `update` is called without the parameters.

    >>> rule = lamb(lr=0.5)
    >>> updates, state = rule.update(3.0, rule.init(2.0), 2.0)
    >>> round(float(updates), 5)
    -1.0
    """

    def formula(
        _: Array, m: Array, v: Array, x: Array, *, t: Array, lr: Array, weight_decay: Array, **decays: Array
    ) -> Array:
        d = adam_direction(m, v, t, **decays) + weight_decay * x
        params_norm, direction_norm = norm(x).astype(d.dtype), norm(d).astype(d.dtype)
        positive = (params_norm > 0) & (direction_norm > 0)
        return -lr * jnp.where(positive, params_norm / jnp.where(positive, direction_norm, 1), 1) * d

    @requires_extras("lamb")
    def update(grads: Grads, state: AdamState, params: Params, **extra: Any) -> tuple[Updates, AdamState]:
        after = update_moments(grads, state, b1, b2)
        numbers = {"lr": lr, "b1": b1, "b2": b2, "eps": eps, "weight_decay": weight_decay}
        return each(formula, grads, after.mu, after.nu, params, t=after.count, **numbers), after

    return Rule(init_moments, update)
