"""Nesterov's momentum, Sutskever et al.'s form (Nesterov, 1983). https://proceedings.mlr.press/v28/sutskever13.html"""

from typing import Any

from gdlab import register
from gdlab.rules.leafwise import each
from gdlab.rules.moments import VelocityState, init_velocity, update_velocity
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Grads, Params, Rule, Updates


def _stability(beta: float = 0.9) -> float:
    # For beta > 1 the directions of small curvature diverge at any lr.
    return 0.0 if beta > 1 else (2 + 2 * beta) / (1 + 2 * beta)


@register.rule(
    "nesterov",
    source="Nesterov, A method of solving a convex programming problem with convergence rate O(1/k^2), 1983",
    url="https://proceedings.mlr.press/v28/sutskever13.html",
    year=1983,
    ranges={"lr": (1e-4, 10.0), "beta": (0.0, 0.99)},
    stability=_stability,
    memory=1,
    optax="sgd",
    optax_with={"momentum": 0.9, "nesterov": True},
)
@schedulable
def nesterov(lr: Hyperparameter = 0.1, beta: Hyperparameter = 0.9) -> Rule:
    """Nesterov's momentum: v <- beta v + g, u = -lr (g + beta v), from v = 0; v a sum, beta constant.

    Sutskever's form takes the gradient at the look-ahead point theta + beta w, where w = -lr v is the last step. Here,
    as in PyTorch and optax, the parameters are that point: the iterates are Sutskever's shifted by beta w. In
    Nesterov's paper beta grows with the step: see `nesterov_1983`.

    On a quadratic whose largest curvature is L it is stable for lr < (2 + 2 beta) / ((1 + 2 beta) L).

    Source: Nesterov (1983); Sutskever et al. (2013), Equations 3 and 4; the limit in Cohen et al. (2021),
    https://arxiv.org/abs/2103.00065.

    >>> rule = nesterov(lr=0.5, beta=0.5)
    >>> updates, state = rule.update(2.0, rule.init(1.0))
    >>> float(updates)
    -1.5
    """

    def update(
        grads: Grads, state: VelocityState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, VelocityState]:
        v = update_velocity(grads, state.velocity, beta=beta)
        return each(lambda g, v, lr, beta: -lr * (g + beta * v), grads, v, lr=lr, beta=beta), VelocityState(v)

    return Rule(init_velocity, update)
