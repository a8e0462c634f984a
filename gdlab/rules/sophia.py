"""Sophia-H (Liu, Li, Hall, Liang & Ma, 2023). https://arxiv.org/abs/2305.14342"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.rules.counting import due
from gdlab.rules.extras import requires_extras
from gdlab.rules.hessian_products import hessian_product
from gdlab.rules.leafwise import each, normal, zeros
from gdlab.rules.moments import moving_average, update_moment
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class SophiaState(NamedTuple):
    """Moving averages of the gradient and of the Hessian's diagonal."""

    count: Array  # type: ignore[assignment]  # t, [] int32: steps taken
    mu: PyTree  # m, shaped like params, at least float32
    nu: PyTree  # h, shaped like params, at least float32


@register.rule(
    "sophia",
    source="Liu, Li, Hall, Liang & Ma, Sophia: a scalable stochastic second-order optimizer, 2023, Algorithm 3",
    url="https://arxiv.org/abs/2305.14342",
    year=2023,
    ranges={
        "lr": (1e-4, 0.3),
        "b1": (0.0, 0.99),
        "b2": (0.5, 0.999),
        "gamma": (0.005, 0.2),
        "eps": (1e-12, 1.0),
        "weight_decay": (0.0, 0.5),
        "period": (1, 20),
    },
    needs=("params", "grad_fn", "key"),
    scope="tree",
    memory=2,
    optax=None,
    differs="Optax corrects the bias of m, draws z as Rademacher vectors, and uses the h of the previous step.",
)
@schedulable
def sophia(
    lr: Hyperparameter = 1e-3,
    b1: Hyperparameter = 0.96,
    b2: Hyperparameter = 0.99,
    gamma: Hyperparameter = 0.01,
    eps: Hyperparameter = 1e-12,
    weight_decay: Hyperparameter = 0.0,
    period: int = 10,
) -> Rule:
    """Sophia-H: u = -lr (clip(m / max(gamma h, eps), -1, 1) + weight_decay x), with m <- b1 m + (1 - b1) g.

    On steps 0, period, 2 period, ..., before u is computed, h <- b2 h + (1 - b2) z * (H z): Hutchinson's estimate of
    the diagonal of the Hessian H on the step's batch, with z standard normal. m and h start at 0, without bias
    correction. Where h is negative or small, u is -lr sign(m), plus the decay. The paper has weight_decay 0.2 and
    estimates H on a part of the batch.

    Under `vmap` the estimate, which costs two gradients, is computed at every step.

    Source: Liu et al. (2023), Algorithms 1 and 3; `period` is their k.

    >>> rule = sophia(lr=0.5)
    >>> updates, state = rule.update(-6.0, rule.init(2.0), 2.0, grad_fn=lambda x: -3.0 * x, key=jax.random.key(0))
    >>> float(updates)
    0.5
    """

    def init(params: Params) -> SophiaState:
        return SophiaState(jnp.zeros([], jnp.int32), zeros(params), zeros(params))

    @requires_extras("sophia")
    def update(
        grads: Grads,
        state: SophiaState,
        params: Params,
        *,
        grad_fn: Callable[[Params], Grads],
        key: Array,
        **extra: Any,
    ) -> tuple[Updates, SophiaState]:
        def estimate() -> PyTree:
            z = normal(key, params)
            products = hessian_product(grad_fn, params)(z)
            return each(lambda h, z, hz, b2: moving_average(h, z * hz, b2), state.nu, z, products, b2=b2)

        mu = update_moment(grads, state.mu, b1=b1)
        nu = jax.lax.cond(due(state.count, period), estimate, lambda: state.nu)
        numbers = {"lr": lr, "gamma": gamma, "eps": eps, "weight_decay": weight_decay}
        return each(_step, grads, mu, nu, params, **numbers), SophiaState(optax.safe_increment(state.count), mu, nu)

    return Rule(init, update)


def _step(_: Array, m: Array, h: Array, x: Array, *, lr: Array, gamma: Array, eps: Array, weight_decay: Array) -> Array:
    return -lr * (jnp.clip(m / jnp.maximum(gamma * h, eps), -1, 1) + weight_decay * x)
