"""Adadelta (Zeiler, 2012). https://arxiv.org/abs/1212.5701"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.rules.leafwise import each, zeros
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class AdadeltaState(NamedTuple):
    """Averages of the squares of gradients and of steps."""

    mean_square: PyTree  # v, shaped like params, at least float32
    mean_square_step: PyTree  # w, shaped like params, at least float32


@register.rule(
    "adadelta",
    source="Zeiler, ADADELTA: an adaptive learning rate method, 2012, Algorithm 1",
    url="https://arxiv.org/abs/1212.5701",
    year=2012,
    ranges={"lr": (1e-2, 100.0), "rho": (0.0, 0.999), "eps": (1e-10, 1e-2)},
    memory=2,
    optax_with={"rho": 0.95},
)
@schedulable
def adadelta(lr: Hyperparameter = 1.0, rho: Hyperparameter = 0.95, eps: Hyperparameter = 1e-6) -> Rule:
    """Adadelta: v <- rho v + (1 - rho) g^2, d = sqrt(w + eps) g / sqrt(v + eps), w <- rho w + (1 - rho) d^2, u = -lr d.

    From v = w = 0. The root mean square of past steps takes the place of a rate, so that a step has the parameters'
    own unit; lr is a factor, 1 in the paper, and is not part of w. The first steps are about sqrt(eps) long, and they
    grow from there: eps decides how soon it is under way.

    Optax has rho 0.9 by default.

    Source: Zeiler (2012), Algorithm 1.

    >>> rule = adadelta(rho=0.75, eps=1.0)
    >>> updates, state = rule.update(4.0, rule.init(1.0))
    >>> round(float(updates), 6)
    -1.788854
    """

    def init(params: Params) -> AdadeltaState:
        return AdadeltaState(zeros(params), zeros(params))

    def update(
        grads: Grads, state: AdadeltaState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, AdadeltaState]:
        def length(w: Array, g: Array, v: Array, *, eps: Array) -> Array:
            return jnp.sqrt(w + eps) / jnp.sqrt(v + eps) * g

        def average(mean: Array, x: Array, *, rho: Array) -> Array:
            return rho * mean + (1 - rho) * x**2

        v = each(average, state.mean_square, grads, rho=rho)
        d = each(length, state.mean_square_step, grads, v, eps=eps)
        w = each(average, state.mean_square_step, d, rho=rho)
        return each(lambda _, d, lr: -lr * d, grads, d, lr=lr), AdadeltaState(v, w)

    return Rule(init, update)
