"""Newton's method with damping, by conjugate gradients (Dembo & Steihaug, 1983). https://doi.org/10.1007/BF02592055"""

from collections.abc import Callable
from typing import Any

import optax

from gdlab import register
from gdlab.rules.extras import requires_extras
from gdlab.rules.hessian_products import damped, hessian_product
from gdlab.rules.leafwise import each, widen
from gdlab.rules.linear_solve import conjugate_gradients, direct
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Grads, Params, Rule, State, Updates


@register.rule(
    "newton",
    source="Dembo & Steihaug, Truncated-Newton algorithms for large-scale unconstrained optimization, 1983",
    url="https://doi.org/10.1007/BF02592055",
    year=1983,
    ranges={"lr": (0.01, 2.0), "damping": (0.0, 10.0)},
    needs=("params", "grad_fn"),
    scope="tree",
    memory=0,
)
@schedulable
def newton(
    lr: Hyperparameter = 1.0, damping: Hyperparameter = 1e-3, dense: bool = False, cg_steps: int | None = None
) -> Rule:
    """Newton: u = -lr (H + damping I)^-1 g, with H the Hessian at x on the step's batch.

    By default the system is solved by conjugate gradients with Hessian-vector products, in at most `cg_steps`
    iterations (None: see `linear_solve.conjugate_gradients`). The iterations stop at a direction of negative curvature,
    so u is a descent direction. `dense` forms the matrix, with one product per parameter, and solves by elimination:
    the exact Newton step, which moves towards saddle points.

    `cg_steps` is the length of a loop: it can't be traced.

    Source: Dembo & Steihaug (1983), without their line search; Nocedal & Wright, Numerical Optimization (2006),
    Section 7.1.

    >>> rule = newton(lr=1.0, damping=0.0)
    >>> updates, _ = rule.update(6.0, rule.init(2.0), 2.0, grad_fn=lambda x: 3.0 * x)
    >>> float(updates)
    -2.0
    """

    @requires_extras("newton")
    def update(
        grads: Grads, state: State, params: Params, *, grad_fn: Callable[[Params], Grads], **extra: Any
    ) -> tuple[Updates, State]:
        g, product = widen(grads), damped(hessian_product(grad_fn, params), damping)
        direction = direct(product, g) if dense else conjugate_gradients(product, g, cg_steps)
        return each(lambda _, d, lr: -lr * d, grads, direction, lr=lr), state

    return Rule(optax.init_empty_state, update)
