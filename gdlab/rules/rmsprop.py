"""RMSProp (Tieleman & Hinton, 2012). https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.rules.leafwise import each, root, zeros
from gdlab.rules.moments import update_moment
from gdlab.rules.momentum import stability
from gdlab.rules.preconditioner import with_preconditioner
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class RMSPropState(NamedTuple):
    """The moments of the gradient, and the velocity."""

    mu: PyTree | None  # m, shaped like params, at least float32; None unless centred
    nu: PyTree  # v, shaped like params, at least float32
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
    differs="Optax adds eps inside the root, as with `eps_inside=True`.",
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

    With `centred` the denominator has the standard deviation: m <- decay m + (1 - decay) g, and sqrt(v - m^2) replaces
    sqrt(v). There is no bias correction, so the first step is long: lr / sqrt(1 - decay).

    eps is added outside the root, as in PyTorch; with `eps_inside` the denominator is sqrt(v + eps), as by default in
    optax and in Graves (2013). PyTorch has decay 0.99 by default.

    Graves has momentum 0.9. In his code and in optax b contains the lr of each step; here, as in PyTorch, the current
    lr multiplies all of b, which differs where lr is a schedule.

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

    def accumulate(b: Array, g: Array, variance: Array, *, eps: Array, momentum: Array) -> Array:
        return momentum * b + g / denominator(variance, eps)

    def init(params: Params) -> RMSPropState:
        return RMSPropState(zeros(params) if centred else None, zeros(params), zeros(params))

    def update(
        grads: Grads, state: RMSPropState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, RMSPropState]:
        v = update_moment(grads, state.nu, order=2, decay=decay)
        m, variance = None, v
        if centred:
            m = update_moment(grads, state.mu, decay=decay)
            variance = each(lambda v, m: v - m**2, v, m)
        b = each(accumulate, state.velocity, grads, variance, eps=eps, momentum=momentum)
        return each(lambda _, b, lr: -lr * b, grads, b, lr=lr), RMSPropState(m, v, b)

    def by(state: RMSPropState) -> PyTree:
        if centred:
            return each(lambda v, m, eps: denominator(v - m**2, eps), state.nu, state.mu, eps=eps)
        return each(denominator, state.nu, eps=eps)

    return with_preconditioner(Rule(init, update), by)
