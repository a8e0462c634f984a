"""Gradient accumulation: one step with the mean of several gradients. https://arxiv.org/abs/1806.00187"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gdlab import register
from gdlab.rules.leafwise import each, narrow, select, widen, zeros
from gdlab.rules.preconditioner import preconditioner, with_preconditioner
from gdlab.rules.scheduled import Hyperparameter
from gdlab.rules.wrapping import LR, Inner, inner_rule, number, wrapper
from gdlab.types import Array, Grads, Params, PyTree, Rule, State, Updates


class AccumulateState(NamedTuple):
    """The sum of the gradients since the last step of the inner rule, and the inner rule's state."""

    count: Array  # type: ignore[assignment]  # [] int32: number of gradients
    total: PyTree  # their sum, shaped like params, at least float32
    inner: State


@register.rule(
    "accumulate",
    source="Ott et al., Scaling neural machine translation, 2018",
    url="https://arxiv.org/abs/1806.00187",
    year=2018,
    ranges={"lr": (1e-4, 10.0), "every": (1, 6)},
    wraps=True,
    memory=1,
    optax="MultiSteps",
)
@wrapper
def accumulate(of: Inner = "gd", lr: Hyperparameter = LR, every: int = 1, **hyperparameters: Any) -> Rule:
    """Gradient accumulation: every `every` calls, one step of the inner rule with the mean of their gradients.

    The other calls give updates of 0 and do not change the inner rule's state. For batches of equal size this equals
    one step on a batch with the examples of all of them. The inner rule's extra arguments (such as `value`) are those
    of the last call.

    Source: Ott et al. (2018), where it simulates more GPUs; also called delayed updates.

    >>> rule = accumulate(of="gd", lr=0.5, every=2)
    >>> first, state = rule.update(2.0, rule.init(1.0))
    >>> float(first), float(rule.update(6.0, state)[0])
    (0.0, -2.0)
    """
    inner = inner_rule(of, lr, hyperparameters)

    def init(params: Params) -> AccumulateState:
        return AccumulateState(jnp.zeros([], jnp.int32), zeros(params), inner.init(params))

    def update(
        grads: Grads, state: AccumulateState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, AccumulateState]:
        count = state.count + 1
        total = each(lambda total, g: total + g, state.total, grads)
        mean = each(lambda _, total, n: total / n, widen(grads), total, n=count)
        updates, after = inner.update(mean, state.inner, params, **extra)
        due = count.astype(jnp.result_type(float)) >= number(every=every)
        updates = select(due, updates, jax.tree.map(jnp.zeros_like, updates))
        total = select(due, jax.tree.map(jnp.zeros_like, total), total)
        return narrow(updates, grads), AccumulateState(jnp.where(due, 0, count), total, select(due, after, state.inner))

    return with_preconditioner(Rule(init, update), lambda state: preconditioner(inner, state.inner))
