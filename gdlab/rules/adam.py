"""Adam (Kingma & Ba, 2015). https://arxiv.org/abs/1412.6980"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.rules.leafwise import each, root, zeros
from gdlab.rules.momentum import stability
from gdlab.rules.preconditioner import divides
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class AdamState(NamedTuple):
    """The moments of the gradient."""

    step: Array  # t, [] int32: steps taken
    mean: PyTree  # m, shaped like params, at least float32
    mean_square: PyTree  # v, shaped like params, at least float32


def preconditioned_stability(b1: float = 0.9, **others: float) -> float:
    """c: an average of gradients, divided by P held still, is stable for eigenvalues of P^-1 H below c / lr."""
    return stability(b1, dampening=b1)


@register.rule(
    "adam",
    source="Kingma & Ba, Adam: a method for stochastic optimization, 2015, Algorithm 1",
    url="https://arxiv.org/abs/1412.6980",
    year=2015,
    ranges={"lr": (1e-5, 1.0), "b1": (0.0, 0.99), "b2": (0.9, 0.9999), "eps": (1e-12, 1e-2)},
    preconditioned_stability=preconditioned_stability,
    memory=2,
    differs="TensorFlow adds eps to the root of the average that is not corrected.",
)
@schedulable
def adam(
    lr: Hyperparameter = 1e-3,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
) -> Rule:
    """Adam: m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, u = -lr mhat / (sqrt(vhat) + eps), from m = v = 0.

    Corrected for the start at 0 on step t = 1, 2, ...: mhat = m / (1 - b1^t), vhat = v / (1 - b2^t). eps stands outside
    the root of the corrected v, as in PyTorch and in optax. Differs from the paper's Section 2 variant, as TensorFlow
    has it, whose eps is added to the root of the v that is not corrected.

    Source: Kingma & Ba (2015), Algorithm 1.

    >>> rule = adam(lr=0.5, eps=0.0)
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(updates), 6)
    -0.5
    """

    def init(params: Params) -> AdamState:
        return start(params)

    def update(grads: Grads, state: AdamState, params: Params | None = None, **extra: Any) -> tuple[Updates, AdamState]:
        after = moments(grads, state, b1, b2)

        def formula(_: Array, m: Array, v: Array, *, t: Array, lr: Array, **decays: Array) -> Array:
            return -lr * direction(m, v, t, **decays)

        return each(formula, grads, after.mean, after.mean_square, t=after.step, lr=lr, b1=b1, b2=b2, eps=eps), after

    return divides(Rule(init, update), lambda s: divisor(s.mean_square, s.step, b1=b1, b2=b2, eps=eps))


def start(params: Params) -> AdamState:
    """Moments of 0."""
    return AdamState(jnp.zeros([], jnp.int32), zeros(params), zeros(params))


def moments(grads: Grads, state: AdamState, b1: Hyperparameter, b2: Hyperparameter) -> AdamState:
    """The moments, not corrected, with one more gradient in them."""
    return AdamState(
        optax.safe_increment(state.step),
        each(lambda m, g, b1: b1 * m + (1 - b1) * g, state.mean, grads, b1=b1),
        each(lambda v, g, b2: b2 * v + (1 - b2) * g**2, state.mean_square, grads, b2=b2),
    )


def direction(m: Array, v: Array, t: Array, *, b1: Array, b2: Array, eps: Array) -> Array:
    """mhat / (sqrt(vhat) + eps) after t steps."""
    return (m / (1 - b1**t)) / (root(v / (1 - b2**t)) + eps)


def divisor(v: PyTree, t: Array, *, b1: Hyperparameter, b2: Hyperparameter, eps: Hyperparameter) -> PyTree:
    """P = (1 - b1^t) (sqrt(vhat) + eps) after t steps, by which m is divided."""

    def formula(v: Array, *, t: Array, b1: Array, b2: Array, eps: Array) -> Array:
        return (1 - b1**t) * (root(v / (1 - b2**t)) + eps)

    return each(formula, v, t=t, b1=b1, b2=b2, eps=eps)
