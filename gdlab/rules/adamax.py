"""AdaMax, Adam with the maximum norm (Kingma & Ba, 2015). https://arxiv.org/abs/1412.6980"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.rules.adam import preconditioned_stability
from gdlab.rules.leafwise import each, zeros
from gdlab.rules.preconditioner import divides
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class AdaMaxState(NamedTuple):
    """The average of gradients and their greatest size."""

    step: Array  # t, [] int32: steps taken
    mean: PyTree  # m, shaped like params, at least float32
    greatest: PyTree  # s, shaped like params, at least float32


@register.rule(
    "adamax",
    source="Kingma & Ba, Adam: a method for stochastic optimization, 2015, Algorithm 2",
    url="https://arxiv.org/abs/1412.6980",
    year=2015,
    ranges={"lr": (1e-5, 1.0), "b1": (0.0, 0.99), "b2": (0.0, 0.9999), "eps": (0.0, 1e-2)},
    preconditioned_stability=preconditioned_stability,
    memory=2,
    optax_with={"eps": 0.0},
    differs="Optax and PyTorch have eps 1e-8 by default; the paper has none.",
)
@schedulable
def adamax(
    lr: Hyperparameter = 0.002,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 0.0,
) -> Rule:
    """AdaMax: m <- b1 m + (1 - b1) g, s <- max(b2 s, |g| + eps), u = -lr m / ((1 - b1^t) s), from m = s = 0.

    s is the greatest of the past gradients, each shrunk by b2 for every step since; it needs no correction for its
    start at 0. As |m| / (1 - b1^t) is at most about s, no step is much longer than lr. Where s is 0 nothing moves.

    Differs from optax and PyTorch in eps, 1e-8 there by default; the paper has none.

    Source: Kingma & Ba (2015), Algorithm 2.

    >>> rule = adamax(lr=0.5)
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(updates), 6)
    -0.5
    """

    def init(params: Params) -> AdaMaxState:
        return AdaMaxState(jnp.zeros([], jnp.int32), zeros(params), zeros(params))

    def update(
        grads: Grads, state: AdaMaxState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, AdaMaxState]:
        t = optax.safe_increment(state.step)
        m = each(lambda m, g, b1: b1 * m + (1 - b1) * g, state.mean, grads, b1=b1)
        s = each(lambda s, g, b2, eps: jnp.maximum(b2 * s, jnp.abs(g) + eps), state.greatest, grads, b2=b2, eps=eps)

        def formula(_: Array, m: Array, s: Array, *, t: Array, lr: Array, b1: Array) -> Array:
            ratio = jnp.where(s > 0, m / jnp.where(s > 0, s, 1.0), 0.0)
            return -lr * ratio / (1 - b1**t)

        return each(formula, grads, m, s, t=t, lr=lr, b1=b1), AdaMaxState(t, m, s)

    def divisor(s: Array, *, t: Array, b1: Array) -> Array:
        return jnp.where(s > 0, (1 - b1**t) * s, jnp.inf)  # where s is 0 nothing moves

    return divides(Rule(init, update), lambda state: each(divisor, state.greatest, t=state.step, b1=b1))
