"""Nadam, Adam with Nesterov's momentum (Dozat, 2016). https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ"""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.rules.leafwise import each, root, zeros
from gdlab.rules.moments import bias_correction, moving_average, update_moment
from gdlab.rules.preconditioner import with_preconditioner
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class NadamState(NamedTuple):
    """The moments of the gradient, and the product of the momentum factors."""

    count: Array  # type: ignore[assignment]  # t, [] int32: steps taken
    product: Array  # mu_1 ... mu_t, []
    mu: PyTree  # m, shaped like params, at least float32
    nu: PyTree  # v, shaped like params, at least float32


def _preconditioned_stability(b1: float = 0.99, **others: float) -> float:
    # For the final momentum factor b1; the numerator is then that of Nesterov's momentum times 1 - b1.
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
    differs="Optax has no momentum schedule (momentum_drop = 0). Optax and PyTorch have no factor b2 in vhat: for "
    "equal steps, multiply their lr and eps by sqrt(b2). PyTorch uses b1 in place of mu_t in the average of gradients.",
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

    mhat = mu_{t+1} m / (1 - mu_1 ... mu_{t+1}) + (1 - mu_t) g / (1 - mu_1 ... mu_t) uses the momentum factor of the
    next step, and vhat = b2 v / (1 - b2^t). The factor grows to b1 with the step t = 1, 2, ...:
    mu_t = b1 (1 - momentum_drop 0.96^(momentum_decay t)). With `momentum_drop` 0 it is b1 on every step.

    Differs from optax, which has no schedule (momentum_drop=0), and from optax and PyTorch, which leave out the factor
    b2 in vhat: they take the same steps with lr and eps multiplied by sqrt(b2). PyTorch also has b1 in place of mu_t in
    the update of m.

    Source: Dozat (2016), Algorithm 2; the momentum's schedule after Sutskever et al. (2013).

    >>> rule = nadam(lr=0.5, b1=0.5, b2=0.25, eps=0.0, momentum_drop=0.0)
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(updates), 6)
    -1.333333
    """
    schedule = {"b1": b1, "momentum_drop": momentum_drop, "momentum_decay": momentum_decay}

    def factor(t: Array, b1: Array, momentum_drop: Array, momentum_decay: Array) -> Array:
        return b1 * (1 - momentum_drop * 0.96 ** (momentum_decay * t))

    def first_moment(m: Array, g: Array, *, t: Array, **schedule: Array) -> Array:
        return moving_average(m, g, factor(t, **schedule))

    def denominator(v: Array, *, t: Array, b2: Array, eps: Array) -> Array:
        return root(bias_correction(b2 * v, b2, t)) + eps

    def formula(
        g: Array, m: Array, v: Array, *, t: Array, product: Array, lr: Array, b2: Array, eps: Array, **schedule: Array
    ) -> Array:
        now, after = factor(t, **schedule), factor(t + 1, **schedule)
        mhat = after * m / (1 - product * after) + (1 - now) * g / (1 - product)
        return -lr * mhat / denominator(v, t=t, b2=b2, eps=eps)

    def init(params: Params) -> NadamState:
        return NadamState(jnp.zeros([], jnp.int32), jnp.ones([]), zeros(params), zeros(params))

    def update(
        grads: Grads, state: NadamState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, NadamState]:
        t = optax.safe_increment(state.count)
        product = each(lambda product, t, **schedule: product * factor(t, **schedule), state.product, t=t, **schedule)
        m = each(first_moment, state.mu, grads, t=t, **schedule)
        v = update_moment(grads, state.nu, order=2, b2=b2)
        updates = each(formula, grads, m, v, t=t, product=product, lr=lr, b2=b2, eps=eps, **schedule)
        return updates, NadamState(t, product, m, v)

    return with_preconditioner(
        Rule(init, update), lambda state: each(denominator, state.nu, t=state.count, b2=b2, eps=eps)
    )
