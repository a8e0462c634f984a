"""AdamW, Adam with decoupled weight decay (Loshchilov & Hutter, 2019). https://arxiv.org/abs/1711.05101"""

from typing import Any

from gdlab import register
from gdlab.rules.adam import preconditioned_stability
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import each
from gdlab.rules.moments import AdamState, adam_direction, adam_preconditioner, init_moments, update_moments
from gdlab.rules.preconditioner import with_preconditioner
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, Rule, Updates


@register.rule(
    "adamw",
    source="Loshchilov & Hutter, Decoupled weight decay regularization, 2019, Algorithm 2",
    url="https://arxiv.org/abs/1711.05101",
    year=2019,
    ranges={
        "lr": (1e-5, 1.0),
        "b1": (0.0, 0.99),
        "b2": (0.9, 0.9999),
        "eps": (1e-12, 1e-2),
        "weight_decay": (1e-5, 1.0),
    },
    needs=("params",),
    preconditioned_stability=preconditioned_stability,
    memory=2,
    differs="The paper multiplies the decay by the schedule's factor alone, not by lr.",
)
@schedulable
def adamw(
    lr: Hyperparameter = 1e-3,
    b1: Hyperparameter = 0.9,
    b2: Hyperparameter = 0.999,
    eps: Hyperparameter = 1e-8,
    weight_decay: Hyperparameter = 0.01,
) -> Rule:
    """Adam with decoupled weight decay: u = -lr (mhat / (sqrt(vhat) + eps) + weight_decay x).

    x are the parameters; mhat and vhat are as in `adam`. The decay is multiplied by lr, as in PyTorch and optax (whose
    default is 1e-4); the paper multiplies it by the schedule's factor alone. An L2 penalty in the loss is a different
    rule (`weight_decay` around `adam`): there the decay is part of the gradient and is divided by sqrt(vhat).

    Source: Loshchilov & Hutter (2019), Algorithm 2.

    Raises:
        ValueError: `update` is called without the parameters.

    >>> rule = adamw(lr=0.5, eps=0.0, weight_decay=0.5)
    >>> updates, state = rule.update(3.0, rule.init(2.0), 2.0)
    >>> round(float(updates), 6)
    -1.0
    """

    def formula(
        _: Array, m: Array, v: Array, x: Array, *, t: Array, lr: Array, weight_decay: Array, **decays: Array
    ) -> Array:
        return -lr * (adam_direction(m, v, t, **decays) + weight_decay * x)

    @requires_extras("adamw")
    def update(grads: Grads, state: AdamState, params: Params, **extra: Any) -> tuple[Updates, AdamState]:
        after = update_moments(grads, state, b1, b2)
        numbers = {"lr": lr, "b1": b1, "b2": b2, "eps": eps, "weight_decay": weight_decay}
        return each(formula, grads, after.mu, after.nu, params, t=after.count, **numbers), after

    return with_preconditioner(
        Rule(init_moments, update), lambda state: adam_preconditioner(state.nu, state.count, b1=b1, b2=b2, eps=eps)
    )
