"""AdaGrad (Duchi, Hazan & Singer, 2011). https://jmlr.org/papers/v12/duchi11a.html"""

from typing import Any, NamedTuple

from gdlab import register
from gdlab.rules.leafwise import each, full, root
from gdlab.rules.preconditioner import with_preconditioner
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class AdagradState(NamedTuple):
    """The sum of squared gradients."""

    sum_of_squares: PyTree  # s, shaped like params, at least float32


def _preconditioned_stability(**hyperparameters: float) -> float:
    return 2.0


@register.rule(
    "adagrad",
    source="Duchi, Hazan & Singer, Adaptive subgradient methods for online learning and stochastic optimization, 2011",
    url="https://jmlr.org/papers/v12/duchi11a.html",
    year=2011,
    ranges={"lr": (1e-4, 10.0), "eps": (1e-12, 1e-2), "initial_accumulator": (0.0, 1.0)},
    preconditioned_stability=_preconditioned_stability,
    memory=1,
    differs="Optax adds eps inside the root, and starts its sum of squares at 0.1.",
)
@schedulable
def adagrad(lr: Hyperparameter = 0.1, eps: Hyperparameter = 1e-10, initial_accumulator: Hyperparameter = 0.0) -> Rule:
    """AdaGrad with a diagonal matrix: s <- s + g^2, u = -lr g / (sqrt(s) + eps), from s = initial_accumulator.

    eps is added outside the root, as in the paper (where it is delta) and in PyTorch. Differs from optax, which adds it
    inside the root, and starts from s = 0.1 with eps = 1e-7.

    Source: Duchi, Hazan & Singer (2011), Figure 1, diagonal version, without a projection.

    >>> rule = adagrad(lr=0.5, eps=0.0)
    >>> _, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(rule.update(4.0, state)[0]), 6)
    -0.4
    """

    def denominator(s: Array, eps: Array) -> Array:
        return root(s) + eps

    def init(params: Params) -> AdagradState:
        return AdagradState(full(params, initial_accumulator=initial_accumulator))

    def update(
        grads: Grads, state: AdagradState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, AdagradState]:
        s = each(lambda s, g: s + g**2, state.sum_of_squares, grads)
        return each(lambda g, s, lr, eps: -lr * g / denominator(s, eps), grads, s, lr=lr, eps=eps), AdagradState(s)

    return with_preconditioner(Rule(init, update), lambda state: each(denominator, state.sum_of_squares, eps=eps))
