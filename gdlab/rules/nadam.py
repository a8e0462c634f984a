"""Nadam, Adam with Nesterov's momentum (Dozat, 2016). https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ"""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.rules.leafwise import each, root, zeros
from gdlab.rules.preconditioner import divides
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class NadamState(NamedTuple):
    """The moments of the gradient, and how much of the first one is still its start at 0."""

    step: Array  # t, [] int32: steps taken
    product: Array  # mu_1 ... mu_t, []
    mean: PyTree  # m, shaped like params, at least float32
    mean_square: PyTree  # v, shaped like params, at least float32


def _preconditioned_stability(b1: float = 0.99, **others: float) -> float:
    # For the momentum in the end; its numerator is then Nesterov's, (1 - b1) times it.
    return 0.0 if b1 > 1 else math.inf if b1 == 1 else (2 + 2 * b1) / ((1 - b1) * (1 + 2 * b1))


@register.rule(
    "nadam",
    source="Dozat, Incorporating Nesterov momentum into Adam, 2016, Algorithm 2",
    url="https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ",
    year=2016,
    ranges={
        "lr": (1e-5, 1.0),
        "b1": (0.0, 0.999),
        "b2": (0.9, 0.9999),
        "eps": (1e-12, 1e-2),
        "momentum_drop": (0.0, 1.0),
        "momentum_decay": (0.0, 0.1),
    },
    preconditioned_stability=_preconditioned_stability,
    memory=2,
    differs="Optax has no schedule (momentum_drop = 0) and, like PyTorch, no factor b2 in vhat: lr and eps sqrt(b2) "
    "times ours; PyTorch has b1 for mu_t in the average of gradients.",
)
@schedulable
def nadam(
    lr: Hyperparameter = 0.002,
    b1: Hyperparameter = 0.99,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    momentum_drop: Hyperparameter = 0.5,
    momentum_decay: Hyperparameter = 0.004,
) -> Rule:
    """Nadam: m <- mu_t m + (1 - mu_t) g, v <- b2 v + (1 - b2) g^2, u = -lr mhat / (sqrt(vhat) + eps), from m = v = 0.

    mhat = mu_{t+1} m / (1 - mu_1 ... mu_{t+1}) + (1 - mu_t) g / (1 - mu_1 ... mu_t), the average as it will be when
    the next step shrinks it, and vhat = b2 v / (1 - b2^t). The momentum grows to b1 from somewhat below:
    mu_t = b1 (1 - momentum_drop 0.96^(momentum_decay t)) on step t = 1, 2, ..., and is b1 throughout with
    `momentum_drop` 0.

    Differs from optax, which has no schedule (give momentum_drop=0), and from optax and PyTorch, which leave out the
    factor b2 in vhat: their steps are ours at an lr and an eps sqrt(b2) times as large. PyTorch also has b1 for mu_t in
    the average itself.

    Source: Dozat (2016), Algorithm 2; the momentum's schedule after Sutskever et al. (2013).

    >>> rule = nadam(lr=0.5, b1=0.5, b2=0.25, eps=0.0, momentum_drop=0.0)
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(updates), 6)
    -1.333333
    """
    schedule = {"b1": b1, "momentum_drop": momentum_drop, "momentum_decay": momentum_decay}

    def mu(t: Array, b1: Array, momentum_drop: Array, momentum_decay: Array) -> Array:
        return b1 * (1 - momentum_drop * 0.96 ** (momentum_decay * t))

    def average(m: Array, g: Array, *, t: Array, **schedule: Array) -> Array:
        now = mu(t, **schedule)
        return now * m + (1 - now) * g

    def formula(
        g: Array, m: Array, v: Array, *, t: Array, product: Array, lr: Array, b2: Array, eps: Array, **schedule: Array
    ) -> Array:
        now, after = mu(t, **schedule), mu(t + 1, **schedule)
        ahead = after * m / (1 - product * after) + (1 - now) * g / (1 - product)
        return -lr * ahead / (root(b2 * v / (1 - b2**t)) + eps)

    def init(params: Params) -> NadamState:
        return NadamState(jnp.zeros([], jnp.int32), jnp.ones([]), zeros(params), zeros(params))

    def update(
        grads: Grads, state: NadamState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, NadamState]:
        t = optax.safe_increment(state.step)
        product = each(lambda product, t, **schedule: product * mu(t, **schedule), state.product, t=t, **schedule)
        m = each(average, state.mean, grads, t=t, **schedule)
        v = each(lambda v, g, b2: b2 * v + (1 - b2) * g**2, state.mean_square, grads, b2=b2)
        updates = each(formula, grads, m, v, t=t, product=product, lr=lr, b2=b2, eps=eps, **schedule)
        return updates, NadamState(t, product, m, v)

    def divisor(v: Array, *, t: Array, b2: Array, eps: Array) -> Array:
        return root(b2 * v / (1 - b2**t)) + eps

    return divides(Rule(init, update), lambda state: each(divisor, state.mean_square, t=state.step, b2=b2, eps=eps))
