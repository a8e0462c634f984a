"""AdaBelief (Zhuang et al., 2020). https://arxiv.org/abs/2010.07468"""

from typing import Any

import optax

from gdlab import register
from gdlab.rules.adam import preconditioned_stability
from gdlab.rules.leafwise import each
from gdlab.rules.moments import (
    AdamState,
    adam_direction,
    adam_preconditioner,
    init_moments,
    moving_average,
    update_moment,
)
from gdlab.rules.preconditioner import with_preconditioner
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, Rule, Updates


@register.rule(
    "adabelief",
    source="Zhuang et al., AdaBelief optimizer: adapting stepsizes by the belief in observed gradients, 2020",
    url="https://arxiv.org/abs/2010.07468",
    year=2020,
    ranges={"lr": (1e-5, 1.0), "b1": (0.0, 0.99), "b2": (0.9, 0.9999), "eps": (1e-16, 1e-2)},
    preconditioned_stability=preconditioned_stability,
    memory=2,
)
@schedulable
def adabelief(
    lr: Hyperparameter = 1e-3,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-16,
) -> Rule:
    """AdaBelief: m <- b1 m + (1 - b1) g, s <- b2 s + (1 - b2) (g - m)^2 + eps, u = -lr mhat / (sqrt(shat) + eps).

    m and s start at 0. s uses the new m and is stored as `nu` in the state. Bias correction on step t = 1, 2, ...:
    mhat = m / (1 - b1^t), shat = s / (1 - b2^t). Adam divides by the size of the gradient; AdaBelief divides by the
    distance of the gradient from its average m. Where successive gradients agree, the steps grow; for constant
    gradients they grow up to lr |g| sqrt((1 - b2) / eps).

    eps is added to s at every step and also to the square root; optax has two numbers for these, `eps_root` and `eps`.

    Source: Zhuang et al. (2020), Algorithm 2.

    >>> rule = adabelief(lr=0.5, b1=0.5)
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(updates), 5)
    -1.0
    """

    def variance(s: Array, g: Array, m: Array, *, b2: Array, eps: Array) -> Array:
        return moving_average(s, (g - m) ** 2, b2) + eps

    def formula(_: Array, m: Array, s: Array, *, t: Array, lr: Array, **decays: Array) -> Array:
        return -lr * adam_direction(m, s, t, **decays)

    def update(grads: Grads, state: AdamState, params: Params | None = None, **extra: Any) -> tuple[Updates, AdamState]:
        t = optax.safe_increment(state.count)
        m = update_moment(grads, state.mu, b1=b1)
        s = each(variance, state.nu, grads, m, b2=b2, eps=eps)
        return each(formula, grads, m, s, t=t, lr=lr, b1=b1, b2=b2, eps=eps), AdamState(t, m, s)

    return with_preconditioner(
        Rule(init_moments, update), lambda state: adam_preconditioner(state.nu, state.count, b1=b1, b2=b2, eps=eps)
    )
