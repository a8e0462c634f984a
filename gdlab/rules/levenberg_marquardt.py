"""The Levenberg-Marquardt method (Levenberg, 1944; Marquardt, 1963). https://doi.org/10.1137/0111030"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gdlab import register
from gdlab.pytrees import dot, precision
from gdlab.rules.hessian_products import damped, gauss_newton_product
from gdlab.rules.leafwise import each, widen
from gdlab.rules.linear_solve import conjugate_gradients
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates

_LEAST_DAMPING = 1e-12


class LevenbergMarquardtState(NamedTuple):
    """How far the model is trusted."""

    damping: Array  # mu, [], at least float32
    growth: Array  # nu, [], at least float32: what mu is multiplied by if the next step fails


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
    """Levenberg-Marquardt: u = -lr (J' C J + mu I)^-1 g if the loss falls by it, else 0; mu follows the success.

    J is the outputs' Jacobian and C the criterion's Hessian in them (I for half a sum of squares). With the gain
    rho = (f(x) - f(x + u)) / (the fall in the quadratic model): where rho > 0, mu <- mu max(1/3, 1 - (2 rho - 1)^3) and
    nu <- 2; else u = 0, mu <- nu mu and nu <- 2 nu; from mu = damping and nu = 2. f is the loss on the step's batch.

    Differs from Madsen, Nielsen & Tingleff, who begin at a share of J'J's largest diagonal element, which products do
    not show, and stop where the steps get small: here u = 0 and mu <- mu / 3 (1e-12 at least) where the model's fall is
    lost in f's rounding. Marquardt scales I to J'J's diagonal. The system is solved by conjugate gradients, in
    `cg_steps` steps at most (None: see `linear_solve.conjugate_gradients`; it is the length of a program, so no axis of
    a sweep and no tracer).

    Source: Marquardt (1963); Nielsen, Damping parameter in Marquardt's method (1999), Equation 2.5; Madsen, Nielsen &
    Tingleff, Methods for non-linear least squares problems (2004), Algorithm 3.16.

    Raises:
        ValueError: `update` is not given the parameters.

    >>> rule = levenberg_marquardt(damping=3.0)
    >>> f = {"outputs_fn": lambda x: x, "criterion_fn": lambda z: z**2 / 2, "value_fn": lambda x: x**2 / 2}
    >>> float(rule.update(2.0, rule.init(2.0), 2.0, value=2.0, **f)[0])
    -0.5
    """

    def init(params: Params) -> LevenbergMarquardtState:
        one = jnp.ones([], precision(widen(params)))
        return LevenbergMarquardtState(each(lambda one, damping: damping * one, one, damping=damping), 2 * one)

    def update(
        grads: Grads,
        state: LevenbergMarquardtState,
        params: Params | None = None,
        *,
        value: Array,
        value_fn: Callable[[Params], Array],
        outputs_fn: Callable[[Params], PyTree],
        criterion_fn: Callable[[Any], Array],
        **extra: Any,
    ) -> tuple[Updates, LevenbergMarquardtState]:
        if params is None:
            raise ValueError(
                "levenberg_marquardt linearises at the parameters: update(grads, state, params) needs them"
            )
        mu, g = state.damping, widen(grads)
        model = gauss_newton_product(outputs_fn, criterion_fn, params)
        direction = conjugate_gradients(damped(model, mu), g, cg_steps)
        step = each(lambda d, lr: -lr * d, direction, lr=lr)
        foretold = -(dot(g, step) + dot(step, model(step)) / 2)
        there = value_fn(each(lambda x, u: x + u, jax.tree.map(jnp.asarray, params), step))
        fall = each(lambda _, now, then: now - then, foretold, value, there)
        # A fall that rounding hides tells nothing; were it a failure, at a minimum mu would grow past all numbers.
        seen = foretold > 4 * _rounding(value).astype(foretold.dtype)
        gain = jnp.where(seen, fall / jnp.where(seen, foretold, 1), 0)
        better = gain > 0  # and not NaN
        shrunk = jnp.maximum(1 / 3, 1 - (2 * jnp.where(better, gain, 1) - 1) ** 3)
        fine = better | ~seen
        after = LevenbergMarquardtState(
            jnp.maximum(mu * jnp.where(fine, shrunk, state.growth), _LEAST_DAMPING),
            jnp.where(fine, 2, 2 * state.growth),
        )
        return each(lambda _, u: jnp.where(better, u, 0), grads, step), after

    return Rule(init, update)


def _rounding(value: Array) -> Array:
    """How far a number of this size and dtype may be off."""
    number = jnp.asarray(value)
    return jnp.abs(number) * jnp.finfo(number.dtype).eps
