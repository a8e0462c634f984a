"""RAdam, rectified Adam (Liu et al., 2020). https://arxiv.org/abs/1908.03265"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.rules.adam import AdamState, moments, preconditioned_stability, start
from gdlab.rules.leafwise import each, root
from gdlab.rules.preconditioner import divides
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class RAdamState(NamedTuple):
    """The moments of the gradient, and how many gradients the second one rests on."""

    moments: AdamState
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
    differs="Optax and PyTorch have the threshold 5, as the authors' own code has.",
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

    rho = top - 2 t b2^t / (1 - b2^t), from 1 on the first step to top = 2 / (1 - b2) - 1, is the number of gradients
    that vhat is, in effect, the mean of, and
    r = sqrt((rho - 4) (rho - 2) top / ((top - 4) (top - 2) rho)) makes up for how unsure it is: up to rho = 4 its
    variance is infinite, and the step is momentum's, not divided. A threshold below 4 is 4.

    The paper has no eps. Differs from optax, PyTorch and the authors' code in the threshold, which is 5 there.

    Source: Liu et al. (2020), Algorithm 2.

    >>> rule = radam(lr=0.5)
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(updates), 5)
    -1.5
    """

    def formula(
        _: Array,
        m: Array,
        v: Array,
        *,
        t: Array,
        weight: Array,
        age: Array,
        lr: Array,
        b1: Array,
        b2: Array,
        eps: Array,
        threshold: Array,
    ) -> Array:
        divided, r = rectified(weight, age, b2, threshold)
        mean, mean_square = m / (1 - b1**t), v / ((1 - b2) * weight)
        return -lr * jnp.where(divided, r * mean / (root(mean_square) + eps), mean)

    def rectified(weight: Array, age: Array, b2: Array, threshold: Array) -> tuple[Array, Array]:
        # The paper's rho is a difference of numbers near 2 / (1 - b2), and in float32 little is left of it.
        rho = 2 * age / weight - 1
        divided = rho > jnp.maximum(threshold, 4)
        rho, top = jnp.where(divided, rho, 5.0), jnp.where(divided, 2 / (1 - b2) - 1, 6.0)
        return divided, root((rho - 4) * (rho - 2) * top / ((top - 4) * (top - 2) * rho))

    def init(params: Params) -> RAdamState:
        return RAdamState(start(params), jnp.zeros([]), jnp.zeros([]))

    def update(
        grads: Grads, state: RAdamState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, RAdamState]:
        after = moments(grads, state.moments, b1, b2)
        weight = each(lambda weight, b2: 1 + b2 * weight, state.weight, b2=b2)
        age = each(lambda age, weight, b2: weight + b2 * age, state.age, weight, b2=b2)
        scalars = {"t": after.step, "weight": weight, "age": age}
        numbers = {"lr": lr, "b1": b1, "b2": b2, "eps": eps, "threshold": threshold}
        updates = each(formula, grads, after.mean, after.mean_square, **scalars, **numbers)
        return updates, RAdamState(after, weight, age)

    def divisor(
        v: Array, *, t: Array, weight: Array, age: Array, b1: Array, b2: Array, eps: Array, threshold: Array
    ) -> Array:
        divided, r = rectified(weight, age, b2, threshold)
        return (1 - b1**t) * jnp.where(divided, (root(v / ((1 - b2) * weight)) + eps) / r, 1)

    def by(state: RAdamState) -> PyTree:
        scalars = {"t": state.moments.step, "weight": state.weight, "age": state.age}
        return each(divisor, state.moments.mean_square, **scalars, b1=b1, b2=b2, eps=eps, threshold=threshold)

    return divides(Rule(init, update), by)
