"""Stochastic variance reduced gradient (Johnson & Zhang, 2013).

https://papers.nips.cc/paper/2013/hash/ac1dd209cbcc5e5d1c6e28598e8cbbe8-Abstract.html
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gdlab import register
from gdlab.rules.counting import due
from gdlab.rules.leafwise import each, narrow, widen, zeros
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class SVRGState(NamedTuple):
    """Where the full gradient was last taken."""

    snapshot: PyTree  # the point, shaped like params, at least float32
    full: PyTree  # the full gradient there, at least float32


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
    """SVRG: u = -lr (g(x) - g(w) + G(w)): g the batch's gradient, G the full one, w where x was at the last snapshot.

    There is a snapshot on steps 0, period, 2 period, ... of the run. The paper takes 2 n steps of one example each
    between two of them, n the number of examples, or 5 n, with w the last of them (its Option I): with batches of b,
    that is period = 2 n / b. Full gradients are taken only at snapshots, except in a sweep over period itself.

    Source: Johnson & Zhang (2013), Figure 1.

    Raises:
        ValueError: `update` is not given the parameters.

    >>> rule = svrg(lr=0.5)
    >>> given = {"grad_fn": lambda x: 3.0 * x, "full_grad_fn": lambda x: 2.0 * x, "step": 0}
    >>> float(rule.update(3.0, rule.init(1.0), 1.0, **given)[0])
    -1.0
    """

    def init(params: Params) -> SVRGState:
        return SVRGState(zeros(params), zeros(params))

    def update(
        grads: Grads,
        state: SVRGState,
        params: Params | None = None,
        *,
        grad_fn: Callable[[Params], Grads],
        full_grad_fn: Callable[[Params], Grads],
        step: Array,
        **extra: Any,
    ) -> tuple[Updates, SVRGState]:
        if params is None:
            raise ValueError("svrg takes snapshots of the parameters: update(grads, state, params) needs them")
        at = widen(params)

        def new() -> SVRGState:
            full = full_grad_fn(jax.tree.map(jnp.asarray, params))
            return SVRGState(at, each(lambda _, g: g, at, full))

        after = jax.lax.cond(due(step, period), new, lambda: state)
        before = grad_fn(narrow(after.snapshot, params))
        return each(lambda g, w, full, lr: -lr * (g - w + full), grads, before, after.full, lr=lr), after

    return Rule(init, update)
