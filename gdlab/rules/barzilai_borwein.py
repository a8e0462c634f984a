"""Barzilai and Borwein's step sizes (Barzilai & Borwein, 1988). https://doi.org/10.1093/imanum/8.1.141"""

from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.pytrees import dot
from gdlab.rules.leafwise import each, zeros
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class BarzilaiBorweinState(NamedTuple):
    """The last point and the gradient there."""

    step: Array  # t, [] int32: steps taken
    params: PyTree  # x of the step before, at least float32
    grads: PyTree  # g of the step before, at least float32


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
    formula: Literal["long", "short"] = "long",
) -> Rule:
    """Barzilai-Borwein: u = -lr a g; long: a = s.s / s.y, short: a = s.y / y.y, s = x - x_last, y = g - g_last.

    Either makes a I the best stand-in for the inverse Hessian along the last step, in one least-squares sense or the
    other, over all parameters; the long step is never the shorter one. a is kept within [min_step, max_step], and is
    max_step where s.y <= 0, along no or negative curvature, as in Birgin, Martinez & Raydan; it is first_step at first.
    lr is 1 in the paper. The loss does not fall monotonically, and far from a quadratic it need not fall at all.

    Source: Barzilai & Borwein (1988), Equations 5 and 6; the safeguards: Birgin, Martinez & Raydan (2000),
    https://doi.org/10.1137/S1052623497330963, Algorithm 2.1.

    Raises:
        ValueError: `update` is not given the parameters.

    >>> rule = barzilai_borwein(first_step=0.5)
    >>> _, state = rule.update(4.0, rule.init(2.0), 2.0)  # to 0, where the gradient, say, is -1: the curvature is 2.5
    >>> round(float(rule.update(-1.0, state, 0.0)[0]), 6)
    0.4
    """

    def init(params: Params) -> BarzilaiBorweinState:
        return BarzilaiBorweinState(jnp.zeros([], jnp.int32), zeros(params), zeros(params))

    def update(
        grads: Grads, state: BarzilaiBorweinState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, BarzilaiBorweinState]:
        if params is None:
            raise ValueError("barzilai_borwein compares points: update(grads, state, params) needs the parameters")
        begun = state.step > 0
        # On the first step the difference is no difference; it must not reach the derivative either.
        s = each(lambda old, x: jnp.where(begun, x - old, 0), state.params, params)
        y = each(lambda old, g: jnp.where(begun, g - old, 0), state.grads, grads)

        def length(
            sy: Array, ss: Array, yy: Array, *, lr: Array, first_step: Array, min_step: Array, max_step: Array
        ) -> Array:
            above, below = (ss, sy) if formula == "long" else (sy, yy)
            curved = sy > 0
            ratio = jnp.where(curved, above / jnp.where(curved, below, 1), max_step)
            return lr * jnp.where(begun, jnp.clip(ratio, min_step, max_step), first_step)

        numbers = {"lr": lr, "first_step": first_step, "min_step": min_step, "max_step": max_step}
        step = each(length, dot(s, y), dot(s, s), dot(y, y), **numbers)
        after = BarzilaiBorweinState(
            optax.safe_increment(state.step),
            each(lambda old, x: x, state.params, params),
            each(lambda old, g: g, state.grads, grads),
        )
        return each(lambda g, a: -a * g, grads, a=step), after

    return Rule(init, update)
