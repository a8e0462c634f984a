"""AggMo, aggregated momentum (Lucas, Sun, Zemel & Grosse, 2019). https://arxiv.org/abs/1804.00325"""

from typing import Any, NamedTuple

from gdlab import register
from gdlab.rules.leafwise import each, zeros
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


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

    The heavy velocity is fast along the valley, and the light ones damp its swing. The paper takes any number K of
    velocities with b_i = 1 - 0.1^(i - 1), and by default K = 3, which is what is here. Equal b_i are `momentum`.

    On a quadratic whose largest curvature is L it is stable for lr < 2 / (L mean(1 / (1 + b_i))).

    Source: Lucas et al. (2019); the limit, at which x swings with period two, follows from its recursion.

    >>> rule = aggmo(lr=1.0)
    >>> _, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(rule.update(3.0, state)[0]), 5)
    -4.89
    """
    betas = {"b1": b1, "b2": b2, "b3": b3}

    def heavier(v: Array, g: Array, **beta: Array) -> Array:
        (b,) = beta.values()
        return b * v + g

    def init(params: Params) -> AggMoState:
        return AggMoState((zeros(params), zeros(params), zeros(params)))

    def update(
        grads: Grads, state: AggMoState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, AggMoState]:
        first, second, third = (
            each(heavier, v, grads, **{name: beta})
            for v, (name, beta) in zip(state.velocities, betas.items(), strict=True)
        )
        updates = each(lambda _, a, b, c, lr: -lr * (a + b + c) / 3, grads, first, second, third, lr=lr)
        return updates, AggMoState((first, second, third))

    return Rule(init, update)
