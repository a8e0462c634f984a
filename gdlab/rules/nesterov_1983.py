"""Nesterov's accelerated gradient with growing momentum (Nesterov, 1983). https://www.mathnet.ru/eng/dan46009"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.rules.leafwise import each, zeros
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class Nesterov1983State(NamedTuple):
    """The momentum sequence, and the distance from the iterate x to the parameters y."""

    a: Array  # a_k, []
    ahead: PyTree  # y_k - x_k, shaped like params, at least float32

    def evaluation(self, params: Params) -> Params:
        """The iterate x, for which the convergence theorem holds."""
        return each(lambda y, ahead: y - ahead, params, self.ahead)


def _stability() -> float:
    return 4 / 3


@register.rule(
    "nesterov_1983",
    source="Nesterov, A method of solving a convex programming problem with convergence rate O(1/k^2), 1983",
    url="https://www.mathnet.ru/eng/dan46009",
    year=1983,
    ranges={"lr": (1e-4, 10.0)},
    stability=_stability,
    memory=1,
)
@schedulable
def nesterov_1983(lr: Hyperparameter = 0.1) -> Rule:
    """Nesterov's method: x' = y - lr g, a' = (1 + sqrt(4 a^2 + 1)) / 2, y' = x' + ((a - 1) / a') (x' - x), u = y' - y.

    The parameters are y, where the gradient is taken; x = y and a = 1 at first. The momentum (a - 1) / a' is 0 on the
    first step and grows like 1 - 3 / k, so lr is the only hyperparameter. With lr <= 1 / L on a convex function the
    loss at x exceeds the minimum by at most 2 |x_0 - x*|^2 / (lr (k + 1)^2) after k steps, so a run is evaluated at x
    and not at y. For constant momentum see `nesterov`.

    On a quadratic whose largest curvature is L it is stable for lr < 4 / (3 L).

    Source: Nesterov (1983), with a constant step; the bound as in Beck & Teboulle (2009), Theorem 4.4.

    >>> rule = nesterov_1983(lr=0.5)
    >>> updates, state = rule.update(2.0, rule.init(1.0))
    >>> float(updates)
    -1.0
    """

    def next_a(a: Array) -> Array:
        return (1 + jnp.sqrt(4 * a**2 + 1)) / 2

    def next_ahead(ahead: Array, g: Array, *, a: Array, lr: Array) -> Array:
        return (a - 1) / next_a(a) * (ahead - lr * g)

    def init(params: Params) -> Nesterov1983State:
        return Nesterov1983State(jnp.ones([]), zeros(params))

    def update(
        grads: Grads, state: Nesterov1983State, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, Nesterov1983State]:
        ahead = each(next_ahead, state.ahead, grads, a=state.a, lr=lr)
        updates = each(lambda g, ahead, lr: -lr * g + ahead, grads, ahead, lr=lr)
        return updates, Nesterov1983State(next_a(state.a), ahead)

    return Rule(init, update)
