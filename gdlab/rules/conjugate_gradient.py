"""Nonlinear conjugate gradients (Fletcher & Reeves, 1964; Polak & Ribière, 1969). https://doi.org/10.1137/0802003"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.pytrees import dot
from gdlab.rules.extras import requires_extras
from gdlab.rules.hessian_products import hessian_product
from gdlab.rules.leafwise import each, widen, zeros
from gdlab.rules.options import check_option
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates

Formula = Literal["polak-ribiere", "fletcher-reeves"]


class ConjugateGradientState(NamedTuple):
    """The direction and the gradient of the previous step."""

    count: Array  # type: ignore[assignment]  # t, [] int32: steps taken
    direction: PyTree  # d, shaped like params, at least float32
    grads: PyTree  # g, shaped like params, at least float32


@register.rule(
    "conjugate_gradient",
    source="Gilbert & Nocedal, Global convergence properties of conjugate gradient methods for optimization, 1992",
    url="https://doi.org/10.1137/0802003",
    year=1964,
    ranges={"lr": (0.01, 2.0), "damping": (0.0, 10.0)},
    needs=("params", "grad_fn"),
    scope="tree",
    memory=2,
)
@schedulable
def conjugate_gradient(
    lr: Hyperparameter = 1.0,
    damping: Hyperparameter = 1e-6,
    formula: Formula = "polak-ribiere",
) -> Rule:
    """Conjugate gradients: d <- -g + b d, u = lr a d, with a = -g.d / (|d.Hd| + damping d.d) and H the Hessian at x.

    Polak & Ribière: b = max(0, g.(g - g_last) / g_last.g_last), with Powell's max; Fletcher & Reeves:
    b = g.g / g_last.g_last. b = 0 at the first step, and wherever d would not be a descent direction.

    Differs from the sources in the step length: they search along a line; here the step length is computed from one
    Hessian-vector product. For lr = 1 and damping = 0 it minimises the quadratic model along d. On a quadratic this is
    the exact line search, and n steps reach the minimum.

    Source: Fletcher & Reeves (1964), https://doi.org/10.1093/comjnl/7.2.149; Polak & Ribière (1969); Gilbert & Nocedal
    (1992), for the max; a with damping: Møller, A scaled conjugate gradient algorithm (1993), without the adaptation of
    the damping.

    Raises:
        ValueError: an unknown `formula`.

    >>> rule = conjugate_gradient(lr=1.0, damping=0.0)
    >>> updates, _ = rule.update(6.0, rule.init(2.0), 2.0, grad_fn=lambda x: 3.0 * x)
    >>> float(updates)
    -2.0
    """
    check_option("formula", formula, get_args(Formula))

    def init(params: Params) -> ConjugateGradientState:
        return ConjugateGradientState(jnp.zeros([], jnp.int32), zeros(params), zeros(params))

    @requires_extras("conjugate_gradient")
    def update(
        grads: Grads,
        state: ConjugateGradientState,
        params: Params,
        *,
        grad_fn: Callable[[Params], Grads],
        **extra: Any,
    ) -> tuple[Updates, ConjugateGradientState]:
        g = widen(grads)
        last = dot(state.grads, state.grads)
        new = dot(g, g) - dot(g, state.grads) if formula == "polak-ribiere" else dot(g, g)
        defined = (state.count > 0) & (last > 0)
        weight = jnp.where(defined, jnp.maximum(new, 0) / jnp.where(defined, last, 1), 0)
        d = each(lambda g, d, b: b * d - g, g, state.direction, b=weight)
        descends = dot(g, d) < 0
        d = jax.tree.map(lambda d, g: jnp.where(descends, d, -g), d, g)

        def length(slope: Array, square: Array, curvature: Array, *, lr: Array, damping: Array) -> Array:
            denominator = jnp.abs(curvature) + damping * square
            positive = denominator > 0
            return jnp.where(positive, -lr * slope / jnp.where(positive, denominator, 1), 0)

        curvature = dot(d, hessian_product(grad_fn, params)(d))
        a = each(length, dot(g, d), dot(d, d), curvature, lr=lr, damping=damping)
        after = ConjugateGradientState(
            optax.safe_increment(state.count),
            each(lambda old, d: d, state.direction, d),
            each(lambda old, g: g, state.grads, g),
        )
        return each(lambda _, d, a: a * d, grads, d, a=a), after

    return Rule(init, update)
