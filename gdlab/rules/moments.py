"""Moving averages of gradients, and the Adam step from them (Kingma & Ba, 2015). https://arxiv.org/abs/1412.6980

`moving_average`, `bias_correction`, `adam_denominator` and `adam_direction` are formulas of one leaf, for use inside
`leafwise.each`. The other functions work on trees.
"""

from typing import NamedTuple

import jax.numpy as jnp
import optax

from gdlab.rules.leafwise import each, root, zeros
from gdlab.rules.scheduled import Hyperparameter
from gdlab.types import Array, Grads, Params, PyTree


class AdamState(NamedTuple):
    """The first and second moments of the gradient."""

    count: Array  # type: ignore[assignment]  # t, [] int32: steps taken
    mu: PyTree  # m, shaped like params, at least float32
    nu: PyTree  # v, shaped like params, at least float32


class VelocityState(NamedTuple):
    """The velocity."""

    velocity: PyTree  # v, shaped like params, at least float32


def init_velocity(params: Params) -> VelocityState:
    """A velocity of zero."""
    return VelocityState(zeros(params))


def init_moments(params: Params) -> AdamState:
    """Moments of zero."""
    return AdamState(jnp.zeros([], jnp.int32), zeros(params), zeros(params))


def update_moments(grads: Grads, state: AdamState, b1: Hyperparameter, b2: Hyperparameter) -> AdamState:
    """m <- b1 m + (1 - b1) g and v <- b2 v + (1 - b2) g^2, without bias correction."""
    mu, nu = update_moment(grads, state.mu, b1=b1), update_moment(grads, state.nu, order=2, b2=b2)
    return AdamState(optax.safe_increment(state.count), mu, nu)


def update_moment(grads: Grads, moment: PyTree, order: int = 1, **decay: Hyperparameter) -> PyTree:
    """moment <- decay moment + (1 - decay) g^order.

    The decay is a keyword argument named as in the rule, `update_moment(grads, mu, b1=b1)`; error messages use the
    name.
    """

    def formula(moment: Array, g: Array, **decay: Array) -> Array:
        return moving_average(moment, g if order == 1 else g**order, *decay.values())

    return each(formula, moment, grads, **decay)


def update_velocity(grads: Grads, velocity: PyTree, **beta: Hyperparameter) -> PyTree:
    """velocity <- beta velocity + g; beta is a keyword argument named as in the rule (see `update_moment`)."""

    def formula(velocity: Array, g: Array, **beta: Array) -> Array:
        (factor,) = beta.values()
        return factor * velocity + g

    return each(formula, velocity, grads, **beta)


def moving_average(average: Array, new: Array, decay: Array) -> Array:
    """decay * average + (1 - decay) * new."""
    return decay * average + (1 - decay) * new


def bias_correction(moment: Array, decay: Array, count: Array) -> Array:
    """moment / (1 - decay^count): the bias-corrected moving average of `count` values, started at zero."""
    return moment / (1 - decay**count)


def adam_denominator(nu: Array, count: Array, b2: Array, eps: Array) -> Array:
    """sqrt(vhat) + eps, with vhat = v / (1 - b2^t)."""
    return root(bias_correction(nu, b2, count)) + eps


def adam_direction(mu: Array, nu: Array, count: Array, *, b1: Array, b2: Array, eps: Array) -> Array:
    """mhat / (sqrt(vhat) + eps), with mhat = m / (1 - b1^t)."""
    return bias_correction(mu, b1, count) / adam_denominator(nu, count, b2, eps)


def adam_preconditioner(
    nu: PyTree, count: Array, *, b1: Hyperparameter, b2: Hyperparameter, eps: Hyperparameter
) -> PyTree:
    """P = (1 - b1^t) (sqrt(vhat) + eps), so that Adam's update is -lr m / P."""

    def formula(nu: Array, *, count: Array, b1: Array, b2: Array, eps: Array) -> Array:
        return (1 - b1**count) * adam_denominator(nu, count, b2, eps)

    return each(formula, nu, count=count, b1=b1, b2=b2, eps=eps)
