"""A rate that falls when the loss no longer does (He et al., 2016). https://arxiv.org/abs/1512.03385"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.rules.leafwise import each, narrow, widen
from gdlab.rules.preconditioner import divides, preconditioner
from gdlab.rules.scheduled import Hyperparameter
from gdlab.rules.wrapping import LR, Inner, inner_rule, number, wrapper
from gdlab.types import Array, Grads, Params, Rule, State, Updates


class PlateauState(NamedTuple):
    """How far the updates are scaled down, and for how long the loss has not improved."""

    scale: Array  # [] of JAX's default float
    best: Array  # [] of JAX's default float: the least value that counted as an improvement
    waited: Array  # [] int32: steps without one
    resting: Array  # [] int32: steps left in which none is asked for
    inner: State


@register.rule(
    "reduce_on_plateau",
    source="He et al., Deep residual learning for image recognition, 2016, Section 3.4",
    url="https://arxiv.org/abs/1512.03385",
    year=2016,
    ranges={
        "lr": (1e-4, 0.2),
        "factor": (0.01, 0.9),
        "patience": (1, 8),
        "rtol": (0.0, 0.5),
        "cooldown": (0, 5),
        "min_scale": (0.0, 0.5),
    },
    needs=("value",),
    wraps=True,
    memory=0,
    differs="PyTorch lowers the rate one step later, on the first beyond its patience.",
)
@wrapper
def reduce_on_plateau(
    of: Inner = "gd",
    lr: Hyperparameter = LR,
    factor: Hyperparameter = 0.1,
    patience: int = 8,
    rtol: Hyperparameter = 1e-4,
    cooldown: int = 0,
    min_scale: Hyperparameter = 0.0,
    **hyperparameters: Any,
) -> Rule:
    """Less on a plateau: the updates of another rule, times a scale that falls by `factor` when the loss does not fall.

    It does so on the `patience`-th step in a row without an improvement, a value below (1 - rtol) times the best before
    (for values above 0). After that come `cooldown` steps that are not counted; the scale stays at `min_scale` at
    least. The value is the loss on the step's batch, which is noisy: with small batches, be patient. As in optax, where
    `accumulation_size` can average values.

    Source: He et al. (2016), Section 3.4, by hand; automatic first in toolkits.

    >>> rule = reduce_on_plateau(of="gd", lr=0.5, factor=0.25, patience=1)
    >>> first, state = rule.update(2.0, rule.init(1.0), value=3.0)
    >>> float(first), float(rule.update(2.0, state, value=3.0)[0])
    (-1.0, -0.25)
    """
    inner = inner_rule(of, lr, hyperparameters)

    def init(params: Params) -> PlateauState:
        dtype = jnp.result_type(float)
        none = jnp.zeros([], jnp.int32)
        return PlateauState(jnp.ones([], dtype), jnp.full([], jnp.inf, dtype), none, none, inner.init(params))

    def update(
        grads: Grads, state: PlateauState, params: Params | None = None, *, value: Array, **extra: Any
    ) -> tuple[Updates, PlateauState]:
        updates, after = inner.update(widen(grads), state.inner, params, value=value, **extra)
        loss = jnp.asarray(value, state.best.dtype)
        better = loss < (1 - number(rtol=rtol)) * state.best
        waited = jnp.where(better, 0, state.waited + 1)
        resting = state.resting > 0
        due = ~resting & (waited.astype(state.best.dtype) >= number(patience=patience))
        lower = jnp.maximum(state.scale * number(factor=factor), number(min_scale=min_scale))
        scale = jnp.where(due, lower, state.scale)
        state = PlateauState(
            scale,
            jnp.where(better, loss, state.best),
            jnp.where(due | resting, 0, waited),
            jnp.where(due, number(cooldown=cooldown).astype(jnp.int32), jnp.maximum(state.resting - 1, 0)),
            after,
        )
        return narrow(each(lambda u, scale: scale * u, updates, scale=scale), grads), state

    return divides(Rule(init, update), lambda state: preconditioner(inner, state.inner))
