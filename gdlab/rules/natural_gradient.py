"""The natural gradient (Amari, 1998). https://doi.org/10.1162/089976698300017746"""

from typing import Any

from gdlab import register
from gdlab.rules.gauss_newton import gauss_newton
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Grads, Params, Rule, State, Updates


@register.rule(
    "natural_gradient",
    source="Amari, Natural gradient works efficiently in learning, 1998",
    url="https://doi.org/10.1162/089976698300017746",
    year=1998,
    ranges={"lr": (1e-3, 2.0), "damping": (0.0, 10.0)},
    needs=("params", "outputs_fn", "criterion_fn"),
    scope="tree",
    memory=0,
)
@schedulable
def natural_gradient(lr: Hyperparameter = 0.1, damping: Hyperparameter = 1e-3, cg_steps: int | None = None) -> Rule:
    """Natural gradient: u = -lr (F + damping I)^-1 g, F the Fisher information of the model at x, on the step's batch.

    F is J' C J, with J the outputs' Jacobian and C the criterion's Hessian in them. That is the Fisher information, its
    expectation taken over the model's own predictions, for a criterion that is minus the log-likelihood of an
    exponential family in its natural parameters: half a squared error, softmax or logistic cross-entropy. For others it
    is a stand-in, and the rule is `gauss_newton`, whose defaults differ. It is not the empirical Fisher matrix of the
    examples' own gradients. Without damping and for small lr, the path of the model does not depend on how it is
    parametrised. Solved by conjugate gradients in `cg_steps` steps at most (None: see
    `linear_solve.conjugate_gradients`; it is the length of a program, so no axis of a sweep and no tracer).

    Source: Amari (1998), Theorem 1; F by products: Martens (2020), https://arxiv.org/abs/1412.1193, Section 9.

    Raises:
        ValueError: `update` is not given the parameters.

    >>> rule = natural_gradient(lr=0.5, damping=0.0)
    >>> model = {"outputs_fn": lambda x: 3.0 * x, "criterion_fn": lambda z: z**2 / 2}
    >>> float(rule.update(18.0, rule.init(2.0), 2.0, **model)[0])
    -1.0
    """

    inner = gauss_newton(lr, damping, cg_steps)

    def update(grads: Grads, state: State, params: Params | None = None, **extra: Any) -> tuple[Updates, State]:
        if params is None:
            raise ValueError("natural_gradient measures at the parameters: update(grads, state, params) needs them")
        return inner.update(grads, state, params, **extra)

    return Rule(inner.init, update)
