"""Sophia-H (Liu, Li, Hall, Liang & Ma, 2023). https://arxiv.org/abs/2305.14342"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.rules.counting import due
from gdlab.rules.hessian_products import hessian_product
from gdlab.rules.leafwise import each, normal, zeros
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class SophiaState(NamedTuple):
    """Averages of the gradient and of the Hessian's diagonal."""

    step: Array  # t, [] int32: steps taken
    mean: PyTree  # m, shaped like params, at least float32
    curvature: PyTree  # h, shaped like params, at least float32


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
    differs="Optax corrects m for the start at 0, draws signs, not normals, and uses an h one step old.",
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
    """Sophia-H: m <- b1 m + (1 - b1) g, u = -lr (clip(m / max(gamma h, eps), -1, 1) + weight_decay x), from m = h = 0.

    At the first and then every `period`-th step, before u, h <- b2 h + (1 - b2) z * (H z): Hutchinson's estimate of
    the diagonal of the Hessian H, on the step's batch, with z standard normal. Where h is too small or negative the
    coordinate moves by lr at most, with the sign of m. Nothing is corrected for the start at 0. The paper takes 0.2 for
    weight_decay, and estimates H on a part of the batch.

    Mapped over many runs by `vmap`, the estimate costs its two gradients at every step.

    Source: Liu et al. (2023), Algorithms 1 and 3, with k named period.

    Raises:
        ValueError: `update` is not given the parameters.

    >>> rule = sophia(lr=0.5)
    >>> updates, state = rule.update(-6.0, rule.init(2.0), 2.0, grad_fn=lambda x: -3.0 * x, key=jax.random.key(0))
    >>> float(updates)
    0.5
    """

    def init(params: Params) -> SophiaState:
        return SophiaState(jnp.zeros([], jnp.int32), zeros(params), zeros(params))

    def update(
        grads: Grads,
        state: SophiaState,
        params: Params | None = None,
        *,
        grad_fn: Callable[[Params], Grads],
        key: Array,
        **extra: Any,
    ) -> tuple[Updates, SophiaState]:
        if params is None:
            raise ValueError("sophia differentiates at the parameters: update(grads, state, params) needs them")

        def estimated() -> PyTree:
            draws = normal(key, params)
            bent = hessian_product(grad_fn, params)(draws)
            return each(lambda h, z, hz, b2: b2 * h + (1 - b2) * z * hz, state.curvature, draws, bent, b2=b2)

        m = each(lambda m, g, b1: b1 * m + (1 - b1) * g, state.mean, grads, b1=b1)
        h = jax.lax.cond(due(state.step, period), estimated, lambda: state.curvature)
        numbers = {"lr": lr, "gamma": gamma, "eps": eps, "weight_decay": weight_decay}
        return each(_step, grads, m, h, params, **numbers), SophiaState(optax.safe_increment(state.step), m, h)

    return Rule(init, update)


def _step(_: Array, m: Array, h: Array, x: Array, *, lr: Array, gamma: Array, eps: Array, weight_decay: Array) -> Array:
    return -lr * (jnp.clip(m / jnp.maximum(gamma * h, eps), -1, 1) + weight_decay * x)
