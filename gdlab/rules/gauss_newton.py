"""The Gauss-Newton method (Gauss, 1809; Schraudolph, 2002). https://doi.org/10.1162/08997660260028683"""

from collections.abc import Callable
from typing import Any

import optax

from gdlab import register
from gdlab.rules.extras import requires_extras
from gdlab.rules.hessian_products import damped, gauss_newton_product
from gdlab.rules.leafwise import each, widen
from gdlab.rules.linear_solve import conjugate_gradients
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, State, Updates


@register.rule(
    "gauss_newton",
    source="Gauss, Theoria motus corporum coelestium, 1809",
    url="https://doi.org/10.1162/08997660260028683",
    year=1809,
    ranges={"lr": (0.01, 2.0), "damping": (0.0, 10.0)},
    needs=("params", "outputs_fn", "criterion_fn"),
    scope="tree",
    memory=0,
)
@schedulable
def gauss_newton(lr: Hyperparameter = 1.0, damping: Hyperparameter = 1e-3, cg_steps: int | None = None) -> Rule:
    """Gauss-Newton: u = -lr (J' C J + damping I)^-1 g, with J = dz/dx for the outputs z and C = d^2 criterion / dz^2.

    For half a sum of squares C = I, and u is the least-squares step of the linearised model; for other criteria it is
    the generalised Gauss-Newton matrix of Schraudolph. Penalties outside the criterion are part of g and not of the
    matrix. The system is solved by conjugate gradients with matrix-vector products, in at most `cg_steps` iterations
    (None: see `linear_solve.conjugate_gradients`).

    `cg_steps` is the length of a loop: it can't be traced.

    Source: Gauss (1809); Schraudolph, Fast curvature matrix-vector products for second-order gradient descent (2002),
    Section 3.

    >>> rule = gauss_newton(lr=1.0, damping=0.0)
    >>> model = {"outputs_fn": lambda x: 3.0 * x, "criterion_fn": lambda z: z**2 / 2}
    >>> float(rule.update(18.0, rule.init(2.0), 2.0, **model)[0])
    -2.0
    """
    return damped_gauss_newton("gauss_newton", lr, damping, cg_steps)


def damped_gauss_newton(kind: str, lr: Hyperparameter, damping: Hyperparameter, cg_steps: int | None) -> Rule:
    """The update of `gauss_newton`; `kind` is the name of the rule in its error messages."""

    @requires_extras(kind)
    def update(
        grads: Grads,
        state: State,
        params: Params,
        *,
        outputs_fn: Callable[[Params], PyTree],
        criterion_fn: Callable[[Any], Array],
        **extra: Any,
    ) -> tuple[Updates, State]:
        g = widen(grads)
        product = damped(gauss_newton_product(outputs_fn, criterion_fn, params), damping)
        direction = conjugate_gradients(product, g, cg_steps)
        return each(lambda _, d, lr: -lr * d, grads, direction, lr=lr), state

    return Rule(optax.init_empty_state, update)
