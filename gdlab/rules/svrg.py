"""Stochastic variance reduced gradient (Johnson & Zhang, 2013).

https://papers.nips.cc/paper/2013/hash/ac1dd209cbcc5e5d1c6e28598e8cbbe8-Abstract.html
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gdlab import register
from gdlab.rules.counting import due
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import each, narrow, widen, zeros
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class SVRGState(NamedTuple):
    """The last snapshot of the parameters and the full gradient there."""

    snapshot: PyTree  # w, shaped like params, at least float32
    full_grad: PyTree  # G(w), shaped like params, at least float32


@register.rule(
    "svrg",
    source="Johnson & Zhang, Accelerating stochastic gradient descent using predictive variance reduction, 2013",
    url="https://papers.nips.cc/paper/2013/hash/ac1dd209cbcc5e5d1c6e28598e8cbbe8-Abstract.html",
    year=2013,
    ranges={"lr": (1e-4, 0.15), "period": (1, 20)},
    needs=("params", "grad_fn", "full_grad_fn", "step"),
    scope="tree",
    memory=2,
)
@schedulable
def svrg(lr: Hyperparameter = 0.1, period: Hyperparameter = 20) -> Rule:
    """SVRG: u = -lr (g(x) - g(w) + G(w)), with g the batch's gradient, G the full one and w the last snapshot of x.

    Snapshots are taken on steps 0, period, 2 period, ... of the run. The paper takes one every 2 n or 5 n steps of one
    example each, with n the number of examples, and its Option I chooses w as here: for batches of size b,
    period = 2 n / b. The full gradient is computed only at snapshots, but at every step in a sweep over `period`.

    Source: Johnson & Zhang (2013), Figure 1.

    >>> rule = svrg(lr=0.5)
    >>> extras = {"grad_fn": lambda x: 3.0 * x, "full_grad_fn": lambda x: 2.0 * x, "step": 0}
    >>> float(rule.update(3.0, rule.init(1.0), 1.0, **extras)[0])
    -1.0
    """

    def init(params: Params) -> SVRGState:
        return SVRGState(zeros(params), zeros(params))

    @requires_extras("svrg")
    def update(
        grads: Grads,
        state: SVRGState,
        params: Params,
        *,
        grad_fn: Callable[[Params], Grads],
        full_grad_fn: Callable[[Params], Grads],
        step: Array,
        **extra: Any,
    ) -> tuple[Updates, SVRGState]:
        def snapshot() -> SVRGState:
            full_grad = full_grad_fn(jax.tree.map(jnp.asarray, params))
            return SVRGState(widen(params), each(lambda _, g: g, widen(params), full_grad))

        state = jax.lax.cond(due(step, period), snapshot, lambda: state)
        at_snapshot = grad_fn(narrow(state.snapshot, params))
        return each(lambda g, gw, full, lr: -lr * (g - gw + full), grads, at_snapshot, state.full_grad, lr=lr), state

    return Rule(init, update)
