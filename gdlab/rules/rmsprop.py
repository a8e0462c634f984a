"""RMSProp (Tieleman & Hinton, 2012). https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.rules.leafwise import each, root, zeros
from gdlab.rules.momentum import stability
from gdlab.rules.preconditioner import divides
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class RMSPropState(NamedTuple):
    """Averages of gradients and of their squares, and the sum of past steps."""

    mean: PyTree | None  # m, shaped like params, at least float32; None unless centred
    mean_square: PyTree  # v, shaped like params, at least float32
    velocity: PyTree  # b, shaped like params, at least float32


def _preconditioned_stability(momentum: float = 0.0, **others: float) -> float:
    return stability(momentum)


@register.rule(
    "rmsprop",
    source="Tieleman & Hinton, Neural networks for machine learning, Lecture 6.5, 2012",
    url="https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf",
    year=2012,
    ranges={"lr": (1e-5, 1.0), "decay": (0.0, 0.999), "eps": (1e-10, 1e-2), "momentum": (0.0, 0.99)},
    preconditioned_stability=_preconditioned_stability,
    memory=2,
    differs="Optax adds eps inside the root, as `eps_inside` does.",
)
@schedulable
def rmsprop(
    lr: Hyperparameter = 0.01,
    decay: Hyperparameter = 0.9,
    eps: Hyperparameter = 1e-8,
    momentum: Hyperparameter = 0.0,
    centred: bool = False,
    eps_inside: bool = False,
) -> Rule:
    """RMSProp: v <- decay v + (1 - decay) g^2, b <- momentum b + g / (sqrt(v) + eps), u = -lr b, from v = b = 0.

    `centred` divides by the standard deviation instead: m <- decay m + (1 - decay) g and sqrt(v - m^2) for sqrt(v). The
    averages are not corrected for their start at 0, so the first steps are long: lr / sqrt(1 - decay) at first.

    eps stands outside the root, as in PyTorch; with `eps_inside` it is sqrt(v + eps), as in optax by default and in
    Graves. Differs from PyTorch in decay, by default 0.99 there.

    The momentum is none by default, and 0.9 in Graves. His b and optax's hold the rate of each step; here, as in
    PyTorch, the present lr multiplies all of it, which differs where lr is a schedule.

    Source: Tieleman & Hinton (2012), slide 29; centred and momentum: Graves (2013), https://arxiv.org/abs/1308.0850,
    Equations 38 to 41.

    >>> rule = rmsprop(lr=0.5, decay=0.75, eps=0.0)
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> float(updates)
    -1.0
    """

    def denominator(variance: Array, eps: Array) -> Array:
        # Rounding may leave v - m^2 a little below 0.
        return jnp.sqrt(jnp.maximum(variance, 0) + eps) if eps_inside else root(variance) + eps

    def faster(b: Array, g: Array, variance: Array, *, eps: Array, momentum: Array) -> Array:
        return momentum * b + g / denominator(variance, eps)

    def init(params: Params) -> RMSPropState:
        return RMSPropState(zeros(params) if centred else None, zeros(params), zeros(params))

    def update(
        grads: Grads, state: RMSPropState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, RMSPropState]:
        v = each(lambda v, g, decay: decay * v + (1 - decay) * g**2, state.mean_square, grads, decay=decay)
        m, variance = None, v
        if centred:
            m = each(lambda m, g, decay: decay * m + (1 - decay) * g, state.mean, grads, decay=decay)
            variance = each(lambda v, m: v - m**2, v, m)
        b = each(faster, state.velocity, grads, variance, eps=eps, momentum=momentum)
        return each(lambda _, b, lr: -lr * b, grads, b, lr=lr), RMSPropState(m, v, b)

    def by(state: RMSPropState) -> PyTree:
        if centred:
            return each(lambda v, m, eps: denominator(v - m**2, eps), state.mean_square, state.mean, eps=eps)
        return each(denominator, state.mean_square, eps=eps)

    return divides(Rule(init, update), by)
