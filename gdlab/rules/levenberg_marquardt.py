"""The Levenberg-Marquardt method (Levenberg, 1944; Marquardt, 1963). https://doi.org/10.1137/0111030"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gdlab import register
from gdlab.pytrees import dot, precision
from gdlab.rules.extras import requires_extras
from gdlab.rules.hessian_products import damped, gauss_newton_product
from gdlab.rules.leafwise import each, widen
from gdlab.rules.linear_solve import conjugate_gradients
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates

_MIN_DAMPING = 1e-12


class LevenbergMarquardtState(NamedTuple):
    """The damping and its growth factor."""

    damping: Array  # mu, [], at least float32
    growth: Array  # nu, [], at least float32: the factor on mu if the next step is rejected


@register.rule(
    "levenberg_marquardt",
    source="Marquardt, An algorithm for least-squares estimation of nonlinear parameters, 1963",
    url="https://doi.org/10.1137/0111030",
    year=1963,
    ranges={"lr": (0.01, 2.0), "damping": (1e-6, 10.0)},
    needs=("params", "value", "value_fn", "outputs_fn", "criterion_fn"),
    scope="tree",
    memory=0,
)
@schedulable
def levenberg_marquardt(lr: Hyperparameter = 1.0, damping: Hyperparameter = 1e-2, cg_steps: int | None = None) -> Rule:
    """Levenberg-Marquardt: u = -lr (J' C J + mu I)^-1 g if that lowers the loss f, else u = 0; mu adapts.

    J and C are as in `gauss_newton`. With the gain rho = (f(x) - f(x + u)) / (decrease of the quadratic model): if
    rho > 0, mu <- mu max(1/3, 1 - (2 rho - 1)^3) and nu <- 2; otherwise u = 0, mu <- nu mu and nu <- 2 nu. Initially
    mu = damping and nu = 2. f is the loss on the step's batch. The system is solved by conjugate gradients, in at most
    `cg_steps` iterations (None: see `linear_solve.conjugate_gradients`).

    Differs from Madsen, Nielsen & Tingleff: they start at a multiple of the largest diagonal element of J'J, which is
    not available from matrix-vector products, and stop when the steps get small. Here, where the model's decrease is
    within the rounding error of f, u = 0 and mu <- mu / 3 (at least 1e-12). Marquardt has the diagonal of J'J in place
    of I.

    `cg_steps` is the length of a loop: it can't be traced.

    Source: Marquardt (1963); Nielsen, Damping parameter in Marquardt's method (1999), Equation 2.5; Madsen, Nielsen &
    Tingleff, Methods for non-linear least squares problems (2004), Algorithm 3.16.

    >>> rule = levenberg_marquardt(damping=3.0)
    >>> f = {"outputs_fn": lambda x: x, "criterion_fn": lambda z: z**2 / 2, "value_fn": lambda x: x**2 / 2}
    >>> float(rule.update(2.0, rule.init(2.0), 2.0, value=2.0, **f)[0])
    -0.5
    """

    def init(params: Params) -> LevenbergMarquardtState:
        one = jnp.ones([], precision(widen(params)))
        return LevenbergMarquardtState(each(lambda one, damping: damping * one, one, damping=damping), 2 * one)

    @requires_extras("levenberg_marquardt")
    def update(
        grads: Grads,
        state: LevenbergMarquardtState,
        params: Params,
        *,
        value: Array,
        value_fn: Callable[[Params], Array],
        outputs_fn: Callable[[Params], PyTree],
        criterion_fn: Callable[[Any], Array],
        **extra: Any,
    ) -> tuple[Updates, LevenbergMarquardtState]:
        mu, g = state.damping, widen(grads)
        model = gauss_newton_product(outputs_fn, criterion_fn, params)
        direction = conjugate_gradients(damped(model, mu), g, cg_steps)
        step = each(lambda d, lr: -lr * d, direction, lr=lr)
        predicted = -(dot(g, step) + dot(step, model(step)) / 2)
        new_value = value_fn(each(lambda x, u: x + u, jax.tree.map(jnp.asarray, params), step))
        decrease = each(lambda _, old, new: old - new, predicted, value, new_value)
        # A step with a predicted decrease within the rounding error is not rejected: at a minimum mu would grow without
        # bound.
        resolved = predicted > 4 * _rounding(value).astype(predicted.dtype)
        gain = jnp.where(resolved, decrease / jnp.where(resolved, predicted, 1), 0)
        accepted = gain > 0  # False for NaN
        shrink = jnp.maximum(1 / 3, 1 - (2 * jnp.where(accepted, gain, 1) - 1) ** 3)
        lower = accepted | ~resolved
        after = LevenbergMarquardtState(
            jnp.maximum(mu * jnp.where(lower, shrink, state.growth), _MIN_DAMPING),
            jnp.where(lower, 2, 2 * state.growth),
        )
        return each(lambda _, u: jnp.where(accepted, u, 0), grads, step), after

    return Rule(init, update)


def _rounding(value: Array) -> Array:
    """The rounding error of a number of this size and dtype."""
    value = jnp.asarray(value)
    return jnp.abs(value) * jnp.finfo(value.dtype).eps
