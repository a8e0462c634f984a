"""Adadelta (Zeiler, 2012). https://arxiv.org/abs/1212.5701"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.rules.leafwise import each, zeros
from gdlab.rules.moments import update_moment
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class AdadeltaState(NamedTuple):
    """The second moments of the gradient and of the step."""

    nu: PyTree  # v, shaped like params, at least float32
    nu_step: PyTree  # w, shaped like params, at least float32


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

    v and w start at 0. The root mean square of past steps replaces a learning rate, so a step has the unit of the
    parameters. lr is a factor of the update, 1 in the paper, and is not part of w. The first steps are about sqrt(eps)
    long and later ones grow from there, so eps determines how many steps pass before the rule makes progress.

    Optax has rho 0.9 by default.

    Source: Zeiler (2012), Algorithm 1.

    >>> rule = adadelta(rho=0.75, eps=1.0)
    >>> updates, state = rule.update(4.0, rule.init(1.0))
    >>> round(float(updates), 6)
    -1.788854
    """

    def direction(w: Array, g: Array, v: Array, *, eps: Array) -> Array:
        return jnp.sqrt(w + eps) / jnp.sqrt(v + eps) * g

    def init(params: Params) -> AdadeltaState:
        return AdadeltaState(zeros(params), zeros(params))

    def update(
        grads: Grads, state: AdadeltaState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, AdadeltaState]:
        v = update_moment(grads, state.nu, order=2, rho=rho)
        d = each(direction, state.nu_step, grads, v, eps=eps)
        w = update_moment(d, state.nu_step, order=2, rho=rho)
        return each(lambda _, d, lr: -lr * d, grads, d, lr=lr), AdadeltaState(v, w)

    return Rule(init, update)
