"""AdaMax, Adam with the maximum norm (Kingma & Ba, 2015). https://arxiv.org/abs/1412.6980"""

from typing import Any

import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.rules.adam import preconditioned_stability
from gdlab.rules.leafwise import divide, each
from gdlab.rules.moments import AdamState, init_moments, update_moment
from gdlab.rules.preconditioner import with_preconditioner
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, Rule, Updates


@register.rule(
    "adamax",
    source="Kingma & Ba, Adam: a method for stochastic optimization, 2015, Algorithm 2",
    url="https://arxiv.org/abs/1412.6980",
    year=2015,
    ranges={"lr": (1e-5, 1.0), "b1": (0.0, 0.99), "b2": (0.0, 0.9999), "eps": (0.0, 1e-2)},
    preconditioned_stability=preconditioned_stability,
    memory=2,
    optax_with={"eps": 0.0},
    differs="In optax and PyTorch eps is 1e-8 by default; the paper has no eps.",
)
@schedulable
def adamax(
    lr: Hyperparameter = 0.002,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 0.0,
) -> Rule:
    """AdaMax: m <- b1 m + (1 - b1) g, s <- max(b2 s, |g| + eps), u = -lr m / ((1 - b1^t) s), from m = s = 0.

    s, stored as `nu` in the state, is the largest |g| so far, where each past value has shrunk by the factor b2 per
    step. It needs no bias correction. As |m| / (1 - b1^t) is at most about s, a step is not much longer than lr. Where
    s is 0, the update is 0.

    Differs from optax and PyTorch in eps, which is 1e-8 there by default; the paper has none.

    Source: Kingma & Ba (2015), Algorithm 2.

    >>> rule = adamax(lr=0.5)
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(updates), 6)
    -0.5
    """

    def largest(s: Array, g: Array, b2: Array, eps: Array) -> Array:
        return jnp.maximum(b2 * s, jnp.abs(g) + eps)

    def formula(_: Array, m: Array, s: Array, *, t: Array, lr: Array, b1: Array) -> Array:
        return -lr * divide(m, s) / (1 - b1**t)

    def update(grads: Grads, state: AdamState, params: Params | None = None, **extra: Any) -> tuple[Updates, AdamState]:
        t = optax.safe_increment(state.count)
        m = update_moment(grads, state.mu, b1=b1)
        s = each(largest, state.nu, grads, b2=b2, eps=eps)
        return each(formula, grads, m, s, t=t, lr=lr, b1=b1), AdamState(t, m, s)

    def divisor(s: Array, *, t: Array, b1: Array) -> Array:
        return jnp.where(s > 0, (1 - b1**t) * s, jnp.inf)  # where s is 0 the update is 0

    return with_preconditioner(Rule(init_moments, update), lambda state: each(divisor, state.nu, t=state.count, b1=b1))
