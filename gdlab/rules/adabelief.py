"""AdaBelief (Zhuang et al., 2020). https://arxiv.org/abs/2010.07468"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.rules.adam import direction, divisor, preconditioned_stability
from gdlab.rules.leafwise import each, zeros
from gdlab.rules.preconditioner import divides
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class AdaBeliefState(NamedTuple):
    """The average of gradients, and of their squared distances from it."""

    step: Array  # t, [] int32: steps taken
    mean: PyTree  # m, shaped like params, at least float32
    mean_surprise: PyTree  # s, shaped like params, at least float32


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

    From m = s = 0, with the new m in s, and corrected for that start on step t = 1, 2, ...: mhat = m / (1 - b1^t),
    shat = s / (1 - b2^t). Adam divides by the size of the gradient, this by how far it is from what was expected: where
    gradients agree the steps grow, up to lr |g| sqrt((1 - b2) / eps) where they are constant.

    eps is added at every step, and again to the root; optax has two numbers for that, `eps_root` and `eps`.

    Source: Zhuang et al. (2020), Algorithm 2.

    >>> rule = adabelief(lr=0.5, b1=0.5)
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(updates), 5)
    -1.0
    """

    def surprise(s: Array, g: Array, m: Array, *, b2: Array, eps: Array) -> Array:
        return b2 * s + (1 - b2) * (g - m) ** 2 + eps

    def formula(_: Array, m: Array, s: Array, *, t: Array, lr: Array, **decays: Array) -> Array:
        return -lr * direction(m, s, t, **decays)

    def init(params: Params) -> AdaBeliefState:
        return AdaBeliefState(jnp.zeros([], jnp.int32), zeros(params), zeros(params))

    def update(
        grads: Grads, state: AdaBeliefState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, AdaBeliefState]:
        t = optax.safe_increment(state.step)
        m = each(lambda m, g, b1: b1 * m + (1 - b1) * g, state.mean, grads, b1=b1)
        s = each(surprise, state.mean_surprise, grads, m, b2=b2, eps=eps)
        return each(formula, grads, m, s, t=t, lr=lr, b1=b1, b2=b2, eps=eps), AdaBeliefState(t, m, s)

    return divides(Rule(init, update), lambda s: divisor(s.mean_surprise, s.step, b1=b1, b2=b2, eps=eps))
