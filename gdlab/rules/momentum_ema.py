"""Momentum as an average of gradients (Ma & Yarats, 2019). https://arxiv.org/abs/1810.06801"""

from gdlab import register
from gdlab.rules.momentum import momentum, stability
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Rule


def _stability(beta: float = 0.9) -> float:
    return stability(beta, dampening=beta)


@register.rule(
    "momentum_ema",
    source="Ma & Yarats, Quasi-hyperbolic momentum and Adam for deep learning, 2019",
    url="https://arxiv.org/abs/1810.06801",
    year=2019,
    ranges={"lr": (1e-4, 10.0), "beta": (0.0, 0.99)},
    stability=_stability,
    memory=1,
    optax="ema",
)
@schedulable
def momentum_ema(lr: Hyperparameter = 0.1, beta: Hyperparameter = 0.9) -> Rule:
    """Heavy-ball momentum with an average: v <- beta v + (1 - beta) g, u = -lr v, from v = 0.

    v is an exponential moving average of gradients without bias correction. The rule is `momentum` with `dampening`
    equal to beta, so it has the same iterates as `momentum` without dampening at the learning rate lr (1 - beta). For a
    constant gradient the step tends to lr times the gradient for every beta. On a quadratic whose largest curvature is
    L the rule is stable for lr < 2 (1 + beta) / ((1 - beta) L).

    Source: Ma & Yarats (2019); the limit in Cohen et al. (2022), https://arxiv.org/abs/2207.14484.

    >>> rule = momentum_ema(lr=1.0, beta=0.5)
    >>> _, state = rule.update(2.0, rule.init(1.0))
    >>> float(rule.update(2.0, state)[0])
    -1.5
    """
    return momentum(lr=lr, beta=beta, dampening=beta)
