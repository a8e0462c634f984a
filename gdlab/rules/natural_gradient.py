"""The natural gradient (Amari, 1998). https://doi.org/10.1162/089976698300017746"""

from gdlab import register
from gdlab.rules.gauss_newton import damped_gauss_newton
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Rule


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
    """Natural gradient: u = -lr (F + damping I)^-1 g, with F the model's Fisher information at x on the step's batch.

    F = J' C J as in `gauss_newton`, which differs only in its defaults. This is the Fisher information, with its
    expectation over the model's own predictions, for a criterion that is the negative log-likelihood of an exponential
    family in its natural parameters: half a squared error, or softmax or logistic cross-entropy. For another criterion
    it is an approximation. It is not the empirical Fisher matrix, which uses the gradients of the examples. Without
    damping and for small lr, the path of the model does not depend on its parametrisation.

    `cg_steps` is the length of a loop: it can't be traced.

    Source: Amari (1998), Theorem 1; F by products: Martens (2020), https://arxiv.org/abs/1412.1193, Section 9.

    >>> rule = natural_gradient(lr=0.5, damping=0.0)
    >>> model = {"outputs_fn": lambda x: 3.0 * x, "criterion_fn": lambda z: z**2 / 2}
    >>> float(rule.update(18.0, rule.init(2.0), 2.0, **model)[0])
    -1.0
    """
    return damped_gauss_newton("natural_gradient", lr, damping, cg_steps)
