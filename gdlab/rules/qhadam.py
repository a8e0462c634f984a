"""QHAdam, quasi-hyperbolic Adam (Ma & Yarats, 2019). https://arxiv.org/abs/1810.06801"""

from typing import Any

from gdlab import register
from gdlab.rules.leafwise import each, root
from gdlab.rules.moments import AdamState, bias_correction, init_moments, update_moments
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, Rule, Updates


@register.rule(
    "qhadam",
    source="Ma & Yarats, Quasi-hyperbolic momentum and Adam for deep learning, 2019",
    url="https://arxiv.org/abs/1810.06801",
    year=2019,
    ranges={
        "lr": (1e-5, 1.0),
        "b1": (0.0, 0.999),
        "b2": (0.9, 0.9999),
        "nu1": (0.0, 1.0),
        "nu2": (0.0, 1.0),
        "eps": (1e-12, 1e-2),
    },
    memory=2,
)
@schedulable
def qhadam(
    lr: Hyperparameter = 1e-3,
    b1: Hyperparameter = 0.995,
    b2: Hyperparameter = 0.999,
    nu1: Hyperparameter = 0.7,
    nu2: Hyperparameter = 1.0,
    eps: Hyperparameter = 1e-8,
) -> Rule:
    """QHAdam: u = -lr ((1 - nu1) g + nu1 mhat) / (sqrt((1 - nu2) g^2 + nu2 vhat) + eps), mhat and vhat as in `adam`.

    It is Adam for nu1 = nu2 = 1, RMSProp with bias correction for nu1 = 0 and nu2 = 1, and sign descent for
    nu1 = nu2 = 0. A step is at most about lr / sqrt(nu2 (1 - b2)) long; nu2 < 1 lowers this bound.

    Source: Ma & Yarats (2019); the defaults of nu1, b1 and nu2 are those that its authors recommend.

    >>> rule = qhadam(lr=0.5, eps=0.0)
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(updates), 5)
    -0.5
    """

    def formula(g: Array, m: Array, v: Array, *, t: Array, lr: Array, eps: Array, **weights: Array) -> Array:
        b1, b2, nu1, nu2 = (weights[name] for name in ("b1", "b2", "nu1", "nu2"))
        first = (1 - nu1) * g + bias_correction(nu1 * m, b1, t)
        second = (1 - nu2) * g**2 + bias_correction(nu2 * v, b2, t)
        return -lr * first / (root(second) + eps)

    def update(grads: Grads, state: AdamState, params: Params | None = None, **extra: Any) -> tuple[Updates, AdamState]:
        after = update_moments(grads, state, b1, b2)
        numbers = {"lr": lr, "b1": b1, "b2": b2, "nu1": nu1, "nu2": nu2, "eps": eps}
        return each(formula, grads, after.mu, after.nu, t=after.count, **numbers), after

    return Rule(init_moments, update)
