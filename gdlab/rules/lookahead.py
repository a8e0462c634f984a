"""Lookahead, k steps forward, one step back (Zhang et al., 2019). https://arxiv.org/abs/1907.08610"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import each, narrow, select, widen
from gdlab.rules.scheduled import Hyperparameter
from gdlab.rules.wrapping import LR, Inner, inner_rule, number, wrapper
from gdlab.types import Array, Grads, Params, PyTree, Rule, State, Updates


class LookaheadState(NamedTuple):
    """The slow weights, and the state of the inner rule, which moves the fast weights."""

    since: Array  # [] int32: fast steps since the last update of the slow weights
    slow: PyTree  # phi, shaped like params, at least float32
    inner: State

    def evaluation(self, params: Params) -> Params:
        """The point at which a run is evaluated: the slow weights."""
        return narrow(self.slow, params)


@register.rule(
    "lookahead",
    source="Zhang et al., Lookahead optimizer: k steps forward, 1 step back, 2019, Algorithm 1",
    url="https://arxiv.org/abs/1907.08610",
    year=2019,
    ranges={"lr": (1e-4, 10.0), "period": (1, 10), "pull": (0.1, 1.0)},
    needs=("params",),
    wraps=True,
    memory=1,
    optax=None,
    differs="In optax the parameters are a pair (fast, slow); here the slow weights are in the state.",
)
@wrapper
def lookahead(
    of: Inner = "gd",
    lr: Hyperparameter = LR,
    period: int = 5,
    pull: Hyperparameter = 0.5,
    **hyperparameters: Any,
) -> Rule:
    """Lookahead: after every `period` steps of the inner rule, phi <- phi + pull (theta - phi) and theta <- phi.

    theta are the fast weights, the parameters, and phi the slow weights, which start at the same point; a run is
    evaluated at phi. The inner rule's state is kept when theta is reset. `period` and `pull` are the paper's k and
    alpha.

    Source: Zhang et al. (2019), Algorithm 1.

    >>> rule = lookahead(of="gd", lr=0.5, period=1, pull=0.25)
    >>> updates, state = rule.update(2.0, rule.init(1.0), 1.0)
    >>> float(updates), float(state.slow)
    (-0.25, 0.75)
    """
    inner = inner_rule(of, lr, hyperparameters)

    def init(params: Params) -> LookaheadState:
        return LookaheadState(jnp.zeros([], jnp.int32), widen(params), inner.init(params))

    @requires_extras("lookahead")
    def update(grads: Grads, state: LookaheadState, params: Params, **extra: Any) -> tuple[Updates, LookaheadState]:
        updates, after = inner.update(widen(grads), state.inner, params, **extra)
        since = state.since + 1
        due = since.astype(jnp.result_type(float)) >= number(period=period)
        fast = each(lambda _, x, u: x + u, state.slow, params, updates)
        pulled = each(lambda slow, fast, pull: slow + pull * (fast - slow), state.slow, fast, pull=pull)
        slow = select(due, pulled, state.slow)
        reset = each(lambda u, slow, x: slow - x, updates, slow, params)
        return narrow(select(due, reset, updates), grads), LookaheadState(jnp.where(due, 0, since), slow, after)

    return Rule(init, update)
