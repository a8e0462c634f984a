"""The Gauss-Newton method (Gauss, 1809; Schraudolph, 2002). https://doi.org/10.1162/08997660260028683"""

from collections.abc import Callable
from typing import Any, NamedTuple

from gdlab import register
from gdlab.rules.hessian_products import damped, gauss_newton_product
from gdlab.rules.leafwise import each, widen
from gdlab.rules.linear_solve import conjugate_gradients
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class GaussNewtonState(NamedTuple):
    """Gauss-Newton remembers nothing."""


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
    """Gauss-Newton: u = -lr (J' C J + damping I)^-1 g: J the outputs' Jacobian, C the criterion's Hessian in them.

    For half a sum of squares C is I, and u is the least-squares step on the linearised model; for other criteria it is
    the generalised Gauss-Newton matrix of Schraudolph. The system is solved by conjugate gradients with products, in
    `cg_steps` steps at most (None: see `linear_solve.conjugate_gradients`; it is the length of a program, so no axis of
    a sweep and no tracer). Penalties outside the criterion are in g and not in the matrix.

    Source: Gauss (1809); Schraudolph, Fast curvature matrix-vector products for second-order gradient descent (2002),
    Section 3.

    Raises:
        ValueError: `update` is not given the parameters.

    >>> rule = gauss_newton(lr=1.0, damping=0.0)
    >>> model = {"outputs_fn": lambda x: 3.0 * x, "criterion_fn": lambda z: z**2 / 2}
    >>> float(rule.update(18.0, rule.init(2.0), 2.0, **model)[0])
    -2.0
    """

    def init(params: Params) -> GaussNewtonState:
        return GaussNewtonState()

    def update(
        grads: Grads,
        state: GaussNewtonState,
        params: Params | None = None,
        *,
        outputs_fn: Callable[[Params], PyTree],
        criterion_fn: Callable[[Any], Array],
        **extra: Any,
    ) -> tuple[Updates, GaussNewtonState]:
        if params is None:
            raise ValueError("gauss_newton linearises at the parameters: update(grads, state, params) needs them")
        g = widen(grads)
        product = damped(gauss_newton_product(outputs_fn, criterion_fn, params), damping)
        direction = conjugate_gradients(product, g, cg_steps)
        return each(lambda _, d, lr: -lr * d, grads, direction, lr=lr), state

    return Rule(init, update)
