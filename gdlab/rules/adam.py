"""Adam (Kingma & Ba, 2015). https://arxiv.org/abs/1412.6980"""

from typing import Any

from gdlab import register
from gdlab.rules.leafwise import each
from gdlab.rules.moments import AdamState, adam_direction, adam_preconditioner, init_moments, update_moments
from gdlab.rules.momentum import stability
from gdlab.rules.preconditioner import with_preconditioner
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, Rule, Updates


def preconditioned_stability(b1: float = 0.9, **others: float) -> float:
    """The constant c: with P fixed, Adam is stable if all eigenvalues of P^-1 H are below c / lr."""
    return stability(b1, dampening=b1)


@register.rule(
    "adam",
    source="Kingma & Ba, Adam: a method for stochastic optimization, 2015, Algorithm 1",
    url="https://arxiv.org/abs/1412.6980",
    year=2015,
    ranges={"lr": (1e-5, 1.0), "b1": (0.0, 0.99), "b2": (0.9, 0.9999), "eps": (1e-12, 1e-2)},
    preconditioned_stability=preconditioned_stability,
    memory=2,
    differs="TensorFlow adds eps to the root of v without bias correction.",
)
@schedulable
def adam(
    lr: Hyperparameter = 1e-3,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
) -> Rule:
    """Adam: m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, u = -lr mhat / (sqrt(vhat) + eps), from m = v = 0.

    Bias correction on step t = 1, 2, ...: mhat = m / (1 - b1^t) and vhat = v / (1 - b2^t). eps is added outside the
    root of vhat, as in PyTorch and optax. Differs from TensorFlow and from the variant in the paper's Section 2, which
    add eps to the root of v without bias correction.

    Source: Kingma & Ba (2015), Algorithm 1.

    >>> rule = adam(lr=0.5, eps=0.0)
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(updates), 6)
    -0.5
    """

    def formula(_: Array, m: Array, v: Array, *, t: Array, lr: Array, **decays: Array) -> Array:
        return -lr * adam_direction(m, v, t, **decays)

    def update(grads: Grads, state: AdamState, params: Params | None = None, **extra: Any) -> tuple[Updates, AdamState]:
        after = update_moments(grads, state, b1, b2)
        return each(formula, grads, after.mu, after.nu, t=after.count, lr=lr, b1=b1, b2=b2, eps=eps), after

    return with_preconditioner(
        Rule(init_moments, update), lambda state: adam_preconditioner(state.nu, state.count, b1=b1, b2=b2, eps=eps)
    )
