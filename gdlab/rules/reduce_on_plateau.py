"""A learning rate that is lowered when the loss stops falling (He et al., 2016). https://arxiv.org/abs/1512.03385"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.rules.extras import requires_extras
from gdlab.rules.leafwise import each, narrow, widen
from gdlab.rules.preconditioner import preconditioner, with_preconditioner
from gdlab.rules.scheduled import Hyperparameter
from gdlab.rules.wrapping import LR, Inner, inner_rule, number, wrapper
from gdlab.types import Array, Grads, Params, Rule, State, Updates


class PlateauState(NamedTuple):
    """The scale of the updates, the counts that decide when it is lowered, and the state of the inner rule."""

    scale: Array  # [], JAX's default float
    best_value: Array  # [], JAX's default float: the last value that was an improvement
    plateau_count: Array  # [] int32: counted steps since the last improvement or reduction
    cooldown_count: Array  # [] int32: steps left of the cooldown
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
    differs="PyTorch lowers the lr one step later, on the first step beyond its patience.",
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
    """Reduce on plateau: the inner rule's updates times a scale, multiplied by `factor` when the loss stops falling.

    The scale is lowered, but not below `min_scale`, on the `patience`-th step in a row without an improvement. An
    improvement is a value below (1 - rtol) times the best previous value (for positive values). The next `cooldown`
    steps are not counted.
    The value is the loss on the step's batch: with small batches it is noisy and needs a large `patience`. The rule is
    the same as in optax, which can also average values (`accumulation_size`).

    Source: He et al. (2016), Section 3.4, where the lr is lowered manually; the rule comes from Keras and PyTorch.

    >>> rule = reduce_on_plateau(of="gd", lr=0.5, factor=0.25, patience=1)
    >>> first, state = rule.update(2.0, rule.init(1.0), value=3.0)
    >>> float(first), float(rule.update(2.0, state, value=3.0)[0])
    (-1.0, -0.25)
    """
    inner = inner_rule(of, lr, hyperparameters)

    def init(params: Params) -> PlateauState:
        dtype, zero = jnp.result_type(float), jnp.zeros([], jnp.int32)
        return PlateauState(jnp.ones([], dtype), jnp.full([], jnp.inf, dtype), zero, zero, inner.init(params))

    @requires_extras("reduce_on_plateau")
    def update(
        grads: Grads, state: PlateauState, params: Params | None = None, *, value: Array, **extra: Any
    ) -> tuple[Updates, PlateauState]:
        updates, after = inner.update(widen(grads), state.inner, params, value=value, **extra)
        loss = jnp.asarray(value, state.best_value.dtype)
        improved = loss < (1 - number(rtol=rtol)) * state.best_value
        plateau_count = jnp.where(improved, 0, state.plateau_count + 1)
        cooling = state.cooldown_count > 0
        due = ~cooling & (plateau_count.astype(loss.dtype) >= number(patience=patience))
        lower = jnp.maximum(state.scale * number(factor=factor), number(min_scale=min_scale))
        scale = jnp.where(due, lower, state.scale)
        state = PlateauState(
            scale,
            jnp.where(improved, loss, state.best_value),
            jnp.where(due | cooling, 0, plateau_count),
            jnp.where(due, number(cooldown=cooldown).astype(jnp.int32), jnp.maximum(state.cooldown_count - 1, 0)),
            after,
        )
        return narrow(each(lambda u, scale: scale * u, updates, scale=scale), grads), state

    return with_preconditioner(Rule(init, update), lambda state: preconditioner(inner, state.inner))
