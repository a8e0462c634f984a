"""Yogi (Zaheer et al., 2018). https://papers.nips.cc/paper/8186-adaptive-methods-for-nonconvex-optimization"""

from typing import Any

import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.rules.adam import preconditioned_stability
from gdlab.rules.leafwise import each, full, root, zeros
from gdlab.rules.moments import AdamState, adam_direction, adam_preconditioner, update_moment
from gdlab.rules.preconditioner import with_preconditioner
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


@register.rule(
    "yogi",
    source="Zaheer, Reddi, Sachan, Kale & Kumar, Adaptive methods for nonconvex optimization, 2018, Algorithm 2",
    url="https://papers.nips.cc/paper/8186-adaptive-methods-for-nonconvex-optimization",
    year=2018,
    ranges={
        "lr": (1e-5, 1.0),
        "b1": (0.0, 0.99),
        "b2": (0.9, 0.9999),
        "eps": (1e-12, 1e-2),
        "initial_accumulator": (0.0, 1.0),
    },
    preconditioned_stability=preconditioned_stability,
    memory=2,
    differs="Optax corrects the bias of both averages, as with `corrected=True`, and also starts m at 1e-6.",
)
@schedulable
def yogi(
    lr: Hyperparameter = 0.01,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-3,
    initial_accumulator: Hyperparameter = 1e-6,
    corrected: bool = False,
) -> Rule:
    """Yogi: m <- b1 m + (1 - b1) g, v <- v - (1 - b2) sign(v - g^2) g^2, u = -lr m / (sqrt(v) + eps), from m = 0.

    Adam changes v in proportion to v - g^2; Yogi changes it in proportion to g^2 and uses only the sign of v - g^2.
    When gradients become small, v falls slowly, so the effective learning rate cannot grow suddenly. v starts at
    `initial_accumulator`; the paper starts it at the mean of g^2 over a large batch.

    With `corrected` m and v are divided by 1 - b1^t and 1 - b2^t, as in optax, which also starts m at 1e-6.

    Source: Zaheer et al. (2018), Algorithm 2.

    >>> rule = yogi(lr=0.5, b1=0.5, b2=0.75, eps=0.0, initial_accumulator=0.0)
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(updates), 6)
    -0.5
    """

    def second_moment(v: Array, g: Array, *, b2: Array) -> Array:
        return v - (1 - b2) * jnp.sign(v - g**2) * g**2

    def formula(_: Array, m: Array, v: Array, *, t: Array, lr: Array, b1: Array, b2: Array, eps: Array) -> Array:
        if corrected:
            return -lr * adam_direction(m, v, t, b1=b1, b2=b2, eps=eps)
        return -lr * m / (root(v) + eps)

    def init(params: Params) -> AdamState:
        nu = full(params, initial_accumulator=initial_accumulator)
        return AdamState(jnp.zeros([], jnp.int32), zeros(params), nu)

    def update(grads: Grads, state: AdamState, params: Params | None = None, **extra: Any) -> tuple[Updates, AdamState]:
        t = optax.safe_increment(state.count)
        m = update_moment(grads, state.mu, b1=b1)
        v = each(second_moment, state.nu, grads, b2=b2)
        return each(formula, grads, m, v, t=t, lr=lr, b1=b1, b2=b2, eps=eps), AdamState(t, m, v)

    def by(state: AdamState) -> PyTree:
        if corrected:
            return adam_preconditioner(state.nu, state.count, b1=b1, b2=b2, eps=eps)
        return each(lambda v, eps: root(v) + eps, state.nu, eps=eps)

    return with_preconditioner(Rule(init, update), by)
