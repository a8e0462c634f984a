"""Averages of the iterates (Ruppert, 1988; Polyak & Juditsky, 1992). https://doi.org/10.1137/0330046"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import each, narrow, widen
from gdlab.rules.preconditioner import preconditioner, with_preconditioner
from gdlab.rules.scheduled import Hyperparameter
from gdlab.rules.wrapping import LR, Inner, inner_rule, number, wrapper
from gdlab.types import Array, Grads, Params, PyTree, Rule, State, Updates


class AveragedState(NamedTuple):
    """A weighted mean of the iterates, and the state of the inner rule."""

    count: Array  # type: ignore[assignment]  # t, [] int32: steps taken
    mean: PyTree  # shaped like params, at least float32
    inner: State

    def evaluation(self, params: Params) -> Params:
        """The point at which a run is evaluated: the mean of the iterates."""
        return narrow(self.mean, params)


@register.rule(
    "average",
    source="Polyak & Juditsky, Acceleration of stochastic approximation by averaging, 1992",
    url="https://doi.org/10.1137/0330046",
    year=1992,
    ranges={"lr": (1e-4, 10.0), "start": (0, 8)},
    needs=("params",),
    wraps=True,
    memory=1,
)
@wrapper
def average(of: Inner = "gd", lr: Hyperparameter = LR, start: int = 0, **hyperparameters: Any) -> Rule:
    """Polyak-Ruppert averaging: the inner rule, evaluated at the mean of its iterates after steps start, start + 1, ...

    The parameters move as with the inner rule alone. Up to step `start`, the run is evaluated at its parameters. The
    mean averages out the noise of stochastic gradients, which remains in the iterates if lr is constant. But the
    influence of the first iterates decays only like 1 / t: choose a `start` after the initial descent.

    Source: Polyak & Juditsky (1992); Ruppert, Efficient estimations from a slowly convergent Robbins-Monro process
    (1988).

    >>> rule = average(of="gd", lr=0.5)
    >>> first, state = rule.update(2.0, rule.init(1.0), 1.0)
    >>> second, state = rule.update(2.0, state, 0.0)
    >>> float(state.evaluation(-1.0))
    -0.5
    """

    def weight(step: Array) -> Array:
        late = step - number(start=start)
        return jnp.where(late > 0, 1 / (1 + jnp.maximum(late, 0)), 1)

    return averaging("average", inner_rule(of, lr, hyperparameters), weight)


def averaging(kind: str, inner: Rule, weight: Callable[[Array], Array]) -> Rule:
    """The inner rule, evaluated at mean <- (1 - weight(t)) mean + weight(t) x, with x the iterate after step t >= 0.

    `kind` is the name of the rule in its error messages.
    """

    def init(params: Params) -> AveragedState:
        return AveragedState(jnp.zeros([], jnp.int32), widen(params), inner.init(params))

    @requires_extras(kind)
    def update(grads: Grads, state: AveragedState, params: Params, **extra: Any) -> tuple[Updates, AveragedState]:
        updates, after = inner.update(widen(grads), state.inner, params, **extra)
        new = weight(state.count.astype(jnp.result_type(float)))
        mean = each(lambda mean, x, u, new: (1 - new) * mean + new * (x + u), state.mean, params, updates, new=new)
        return narrow(updates, grads), AveragedState(optax.safe_increment(state.count), mean, after)

    return with_preconditioner(Rule(init, update), lambda state: preconditioner(inner, state.inner))
