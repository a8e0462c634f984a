"""RAdam, rectified Adam (Liu et al., 2020). https://arxiv.org/abs/1908.03265"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.rules.adam import preconditioned_stability
from gdlab.rules.leafwise import each, root
from gdlab.rules.moments import AdamState, bias_correction, init_moments, update_moments
from gdlab.rules.preconditioner import with_preconditioner
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class RAdamState(NamedTuple):
    """The moments of the gradient, and the sums that give the effective number of gradients in v."""

    moments: AdamState  # m and v
    weight: Array  # [], the sum of b2^(k-1) over k = 1 ... t
    age: Array  # [], the sum of k b2^(k-1) over k = 1 ... t


@register.rule(
    "radam",
    source="Liu et al., On the variance of the adaptive learning rate and beyond, 2020, Algorithm 2",
    url="https://arxiv.org/abs/1908.03265",
    year=2020,
    ranges={
        "lr": (1e-5, 1.0),
        "b1": (0.0, 0.99),
        "b2": (0.9, 0.9999),
        "eps": (1e-12, 1e-2),
        "threshold": (4.0, 5.5),
    },
    preconditioned_stability=preconditioned_stability,
    memory=2,
    optax_with={"threshold": 4.0},
    differs="In optax, PyTorch and the authors' code the threshold is 5.",
)
@schedulable
def radam(
    lr: Hyperparameter = 1e-3,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    threshold: Hyperparameter = 4.0,
) -> Rule:
    """RAdam: u = -lr r mhat / (sqrt(vhat) + eps) once rho > threshold, u = -lr mhat before; moments as in `adam`.

    rho = top - 2 t b2^t / (1 - b2^t) grows from 1 on the first step to top = 2 / (1 - b2) - 1. It is the effective
    number of gradients in the average vhat. r = sqrt((rho - 4) (rho - 2) top / ((top - 4) (top - 2) rho)) corrects for
    the variance of 1 / sqrt(vhat), which is infinite up to rho = 4, so until then the step is momentum's, without a
    denominator. A threshold below 4 counts as 4.

    The paper has no eps. Differs from optax, PyTorch and the authors' code, where the threshold is 5.

    Source: Liu et al. (2020), Algorithm 2.

    >>> rule = radam(lr=0.5)
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(updates), 5)
    -1.5
    """
    numbers = {"b1": b1, "b2": b2, "eps": eps, "threshold": threshold}

    def rectification(weight: Array, age: Array, b2: Array, threshold: Array) -> tuple[Array, Array]:
        """Whether rho > threshold, and r."""
        # The paper's rho is a difference of numbers near 2 / (1 - b2), which cancels in float32; this sum does not.
        rho = 2 * age / weight - 1
        divided = rho > jnp.maximum(threshold, 4)
        rho, top = jnp.where(divided, rho, 5.0), jnp.where(divided, 2 / (1 - b2) - 1, 6.0)
        return divided, root((rho - 4) * (rho - 2) * top / ((top - 4) * (top - 2) * rho))

    def denominator(v: Array, weight: Array, b2: Array, eps: Array) -> Array:
        return root(v / ((1 - b2) * weight)) + eps

    def formula(
        _: Array, m: Array, v: Array, *, t: Array, weight: Array, age: Array, lr: Array, b1: Array, **others: Array
    ) -> Array:
        divided, r = rectification(weight, age, others["b2"], others["threshold"])
        mhat = bias_correction(m, b1, t)
        return -lr * jnp.where(divided, r * mhat / denominator(v, weight, others["b2"], others["eps"]), mhat)

    def divisor(v: Array, *, t: Array, weight: Array, age: Array, b1: Array, **others: Array) -> Array:
        divided, r = rectification(weight, age, others["b2"], others["threshold"])
        return (1 - b1**t) * jnp.where(divided, denominator(v, weight, others["b2"], others["eps"]) / r, 1)

    def init(params: Params) -> RAdamState:
        return RAdamState(init_moments(params), jnp.zeros([]), jnp.zeros([]))

    def update(
        grads: Grads, state: RAdamState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, RAdamState]:
        after = update_moments(grads, state.moments, b1, b2)
        weight = each(lambda weight, b2: 1 + b2 * weight, state.weight, b2=b2)
        age = each(lambda age, weight, b2: weight + b2 * age, state.age, weight, b2=b2)
        sums = {"t": after.count, "weight": weight, "age": age}
        return each(formula, grads, after.mu, after.nu, **sums, lr=lr, **numbers), RAdamState(after, weight, age)

    def by(state: RAdamState) -> PyTree:
        sums = {"t": state.moments.count, "weight": state.weight, "age": state.age}
        return each(divisor, state.moments.nu, **sums, **numbers)

    return with_preconditioner(Rule(init, update), by)
