"""Barzilai-Borwein step sizes (Barzilai & Borwein, 1988). https://doi.org/10.1093/imanum/8.1.141"""

from typing import Any, Literal, NamedTuple, get_args

import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.pytrees import dot
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import each, narrow, zeros
from gdlab.rules.options import check_option
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates

Formula = Literal["long", "short"]


class BarzilaiBorweinState(NamedTuple):
    """The previous point and its gradient."""

    count: Array  # type: ignore[assignment]  # t, [] int32: steps taken
    params: PyTree  # x of the previous step, at least float32
    grads: PyTree  # g of the previous step, at least float32


@register.rule(
    "barzilai_borwein",
    source="Barzilai & Borwein, Two-point step size gradient methods, 1988, Equations 5 and 6",
    url="https://doi.org/10.1093/imanum/8.1.141",
    year=1988,
    ranges={"lr": (0.01, 2.0), "first_step": (1e-4, 1.0), "min_step": (0.0, 0.1), "max_step": (0.1, 10.0)},
    needs=("params",),
    scope="tree",
    memory=2,
)
@schedulable
def barzilai_borwein(
    lr: Hyperparameter = 1.0,
    first_step: Hyperparameter = 1e-2,
    min_step: Hyperparameter = 1e-10,
    max_step: Hyperparameter = 10.0,
    formula: Formula = "long",
) -> Rule:
    """Barzilai-Borwein: u = -lr a g; long: a = s.s / s.y, short: a = s.y / y.y, s = x - x_last, y = g - g_last.

    Each formula makes a I approximate the inverse Hessian along the last step: the long one minimises |s / a - y|, the
    short one |s - a y|. The products are over all parameters, and the long a is never below the short one. a is clipped
    to [min_step, max_step]; it is max_step where s.y <= 0 (no or negative curvature), as in Birgin, Martinez & Raydan,
    and first_step on the first step. lr is 1 in the paper. The loss does not fall monotonically, and on problems that
    are far from quadratic the rule can diverge.

    Source: Barzilai & Borwein (1988), Equations 5 and 6; the safeguards: Birgin, Martinez & Raydan (2000),
    https://doi.org/10.1137/S1052623497330963, Algorithm 2.1.

    Raises:
        ValueError: `formula` is neither "long" nor "short"; `update` is called without the parameters.

    >>> rule = barzilai_borwein(first_step=0.5)
    >>> _, state = rule.update(4.0, rule.init(2.0), 2.0)  # to x = 0, with gradient -1, so the curvature is 2.5
    >>> round(float(rule.update(-1.0, state, 0.0)[0]), 6)
    0.4
    """
    check_option("formula", formula, get_args(Formula))

    def init(params: Params) -> BarzilaiBorweinState:
        return BarzilaiBorweinState(jnp.zeros([], jnp.int32), zeros(params), zeros(params))

    @requires_extras("barzilai_borwein")
    def update(
        grads: Grads, state: BarzilaiBorweinState, params: Params, **extra: Any
    ) -> tuple[Updates, BarzilaiBorweinState]:
        later = state.count > 0
        # On the first step s = y = 0. The differences with the initial zeros must not enter a derivative either.
        s = each(lambda last, x: jnp.where(later, x - last, 0), state.params, params)
        y = each(lambda last, g: jnp.where(later, g - last, 0), state.grads, grads)

        def step_size(sy: Array, ss: Array, yy: Array, *, lr: Array, **steps: Array) -> Array:
            numerator, denominator = (ss, sy) if formula == "long" else (sy, yy)
            convex = sy > 0
            ratio = jnp.where(convex, numerator / jnp.where(convex, denominator, 1), steps["max_step"])
            clipped = jnp.clip(ratio, steps["min_step"], steps["max_step"])
            return lr * jnp.where(later, clipped, steps["first_step"])

        numbers = {"lr": lr, "first_step": first_step, "min_step": min_step, "max_step": max_step}
        size = each(step_size, dot(s, y), dot(s, s), dot(y, y), **numbers)
        after = BarzilaiBorweinState(
            optax.safe_increment(state.count), narrow(params, state.params), narrow(grads, state.grads)
        )
        return each(lambda g, a: -a * g, grads, a=size), after

    return Rule(init, update)
