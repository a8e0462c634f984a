"""QHM, quasi-hyperbolic momentum (Ma & Yarats, 2019). https://arxiv.org/abs/1810.06801"""

import math
from typing import Any, NamedTuple

from gdlab import register
from gdlab.rules.leafwise import each, zeros
from gdlab.rules.moments import update_moment
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Grads, Params, PyTree, Rule, Updates


class QHMState(NamedTuple):
    """The average of gradients."""

    mu: PyTree  # m, shaped like params, at least float32


def _stability(beta: float = 0.999, nu: float = 0.7) -> float:
    if beta > 1:
        return 0.0  # the average diverges
    past = 1 + beta - 2 * nu * beta
    return math.inf if past <= 0 else 2 * (1 + beta) / past


@register.rule(
    "qhm",
    source="Ma & Yarats, Quasi-hyperbolic momentum and Adam for deep learning, 2019",
    url="https://arxiv.org/abs/1810.06801",
    year=2019,
    ranges={"lr": (1e-4, 100.0), "beta": (0.0, 0.999), "nu": (0.0, 1.0)},
    stability=_stability,
    memory=1,
)
@schedulable
def qhm(lr: Hyperparameter = 1.0, beta: Hyperparameter = 0.999, nu: Hyperparameter = 0.7) -> Rule:
    """Quasi-hyperbolic momentum: m <- beta m + (1 - beta) g, u = -lr ((1 - nu) g + nu m), from m = 0.

    nu = 0 is gradient descent, nu = 1 is `momentum_ema`, and nu = beta is `nesterov` at the learning rate
    lr (1 - beta). Unlike in these three rules, beta and the weight 1 - nu of the current gradient are independent.

    On a quadratic whose largest curvature is L it is stable for lr < 2 (1 + beta) / ((1 + beta - 2 nu beta) L).

    Source: Ma & Yarats (2019), Section 3; the limit follows from the roots of its recursion.

    >>> rule = qhm(lr=1.0, beta=0.5, nu=0.5)
    >>> updates, state = rule.update(2.0, rule.init(1.0))
    >>> float(updates)
    -1.5
    """

    def init(params: Params) -> QHMState:
        return QHMState(zeros(params))

    def update(grads: Grads, state: QHMState, params: Params | None = None, **extra: Any) -> tuple[Updates, QHMState]:
        m = update_moment(grads, state.mu, beta=beta)
        return each(lambda g, m, lr, nu: -lr * ((1 - nu) * g + nu * m), grads, m, lr=lr, nu=nu), QHMState(m)

    return Rule(init, update)
