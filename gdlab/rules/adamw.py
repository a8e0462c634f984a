"""AdamW: Adam with decoupled weight decay (Loshchilov, Hutter, 2019). https://arxiv.org/abs/1711.05101"""

from typing import Any

from gdlab import register
from gdlab.rules.adam import AdamState, averages, start, step
from gdlab.rules.leafwise import each, like
from gdlab.rules.scheduled import schedulable
from gdlab.types import Grads, Params, Rule, Updates


@register.rule(
    "adamw",
    source="Loshchilov & Hutter 2019, Algorithm 2",
    year=2019,
    ranges={"lr": (1e-5, 1.0), "b1": (0.0, 0.99), "b2": (0.9, 0.9999), "weight_decay": (1e-5, 1.0)},
)
@schedulable
def adamw(lr: float = 1e-3, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, weight_decay: float = 1e-2) -> Rule:
    """AdamW: x <- x + (Adam's update) - lr weight_decay x, with the x from before the step.

    The decay does not go through Adam's averages, and is scaled by the rate, as in PyTorch and in optax (whose default
    is 1e-4). In the paper decay and rate are apart: its lambda is lr weight_decay here, and a schedule multiplies both.

    Raises:
        ValueError: `update` is called without the parameters.

    >>> import jax.numpy as jnp
    >>> rule = adamw(lr=0.5, weight_decay=0.25)
    >>> rule.update(jnp.array([0.0]), rule.init(jnp.ones(1)), jnp.ones(1))[0].tolist()
    [-0.125]
    """

    def update(grads: Grads, state: AdamState, params: Params | None = None, **extra: Any) -> tuple[Updates, AdamState]:
        if params is None:
            raise ValueError("adamw decays the parameters: call update(grads, state, params)")
        count, mean, square = averages(state, grads, b1, b2)
        updates = each(step, mean, square, lr=lr, b1=b1, b2=b2, eps=eps, t=count)
        updates = each(lambda u, x, lr, wd: u - lr * wd * x, updates, params, lr=lr, wd=weight_decay)
        return like(updates, grads), AdamState(count, mean, square)

    return Rule(start, update)
