"""AggMo, aggregated momentum (Lucas, Sun, Zemel & Grosse, 2019). https://arxiv.org/abs/1804.00325"""

from typing import Any, NamedTuple

from gdlab import register
from gdlab.rules.leafwise import each, zeros
from gdlab.rules.moments import update_velocity
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Grads, Params, PyTree, Rule, Updates


class AggMoState(NamedTuple):
    """Three velocities."""

    velocities: tuple[PyTree, PyTree, PyTree]  # v1, v2, v3, each shaped like params, at least float32


def _stability(b1: float = 0.0, b2: float = 0.9, b3: float = 0.99) -> float:
    betas = (b1, b2, b3)
    return 0.0 if max(betas) > 1 else 6 / sum(1 / (1 + beta) for beta in betas)


@register.rule(
    "aggmo",
    source="Lucas, Sun, Zemel & Grosse, Aggregated momentum: stability through passive damping, 2019",
    url="https://arxiv.org/abs/1804.00325",
    year=2019,
    ranges={"lr": (1e-4, 10.0), "b1": (0.0, 0.99), "b2": (0.0, 0.99), "b3": (0.0, 0.999)},
    stability=_stability,
    memory=3,
)
@schedulable
def aggmo(
    lr: Hyperparameter = 0.1,
    b1: Hyperparameter = 0.0,
    b2: Hyperparameter = 0.9,
    b3: Hyperparameter = 0.99,
) -> Rule:
    """Aggregated momentum: v_i <- b_i v_i + g for i = 1, 2, 3 and u = -lr (v_1 + v_2 + v_3) / 3, from v_i = 0.

    The velocity with the largest b_i gives fast progress along directions of small curvature; those with smaller b_i
    damp the oscillation. The paper has K velocities with b_i = 1 - 0.1^(i - 1) and K = 3 by default; here K is 3. With
    equal b_i the rule is `momentum`.

    On a quadratic whose largest curvature is L it is stable for lr < 2 / (L mean(1 / (1 + b_i))).

    Source: Lucas et al. (2019); the limit, at which x oscillates with period two, follows from its recursion.

    >>> rule = aggmo(lr=1.0)
    >>> _, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(rule.update(3.0, state)[0]), 5)
    -4.89
    """

    def init(params: Params) -> AggMoState:
        return AggMoState((zeros(params), zeros(params), zeros(params)))

    def update(
        grads: Grads, state: AggMoState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, AggMoState]:
        v1, v2, v3 = state.velocities
        v1 = update_velocity(grads, v1, b1=b1)
        v2 = update_velocity(grads, v2, b2=b2)
        v3 = update_velocity(grads, v3, b3=b3)
        updates = each(lambda _, v1, v2, v3, lr: -lr * (v1 + v2 + v3) / 3, grads, v1, v2, v3, lr=lr)
        return updates, AggMoState((v1, v2, v3))

    return Rule(init, update)
