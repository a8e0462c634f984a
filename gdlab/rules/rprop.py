"""Rprop, resilient propagation (Riedmiller & Braun, 1993). https://doi.org/10.1109/ICNN.1993.298623"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.rules.leafwise import each, full, zeros
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class RpropState(NamedTuple):
    """The step size of each coordinate, and the sign of the last gradient."""

    size: PyTree  # d, shaped like params, at least float32
    sign: PyTree  # sign of the last gradient, 0 after a change of sign; shaped like params, at least float32


@register.rule(
    "rprop",
    source="Riedmiller & Braun, A direct adaptive method for faster backpropagation learning: Rprop, 1993",
    url="https://doi.org/10.1109/ICNN.1993.298623",
    year=1993,
    ranges={
        "lr": (1e-4, 50.0),
        "eta_minus": (0.1, 0.9),
        "eta_plus": (1.0, 2.0),
        "min_step": (0.0, 1.0),
        "max_step": (0.1, 50.0),
    },
    memory=2,
    optax=None,
    differs="Optax applies each step one call later; its first update is 0. If the sign changes, optax and PyTorch do "
    "not move, as with `backtrack=False`.",
)
@schedulable
def rprop(
    lr: Hyperparameter = 0.1,
    eta_minus: Hyperparameter = 0.5,
    eta_plus: Hyperparameter = 1.2,
    min_step: Hyperparameter = 1e-6,
    max_step: Hyperparameter = 50.0,
    backtrack: bool = True,
) -> Rule:
    """Rprop: u = -d sign(g), with d <- eta_plus d where g keeps its sign and d <- eta_minus d where the sign changes.

    d starts at lr, which is used only there, and is clipped to [min_step, max_step]. A change of sign means that the
    last step crossed a minimum: with `backtrack` that step is undone, and the next step treats the coordinate as if it
    had no past gradient. Without `backtrack` the coordinate does not move in that step, which is iRprop-, as in
    PyTorch. The size of the gradient is never used. Rprop is for full batches: on mini-batches the noise in the signs
    shrinks every d.

    Differs from optax, whose iRprop- is one step late: it returns the step that belongs to the previous gradient,
    except directly after a change of sign.

    Source: Riedmiller & Braun (1993); iRprop-: Igel & Hüsken (2003), https://doi.org/10.1016/S0925-2312(01)00700-7.

    >>> rule = rprop(lr=0.5)
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> float(updates)
    -0.5
    """
    numbers = {"eta_minus": eta_minus, "eta_plus": eta_plus, "min_step": min_step, "max_step": max_step}

    def resize(d: Array, last: Array, g: Array, *, min_step: Array, max_step: Array, **factors: Array) -> Array:
        agreement = last * jnp.sign(g)
        factor = jnp.where(agreement > 0, factors["eta_plus"], factors["eta_minus"])
        return jnp.where(agreement == 0, d, jnp.clip(d * factor, min_step, max_step))

    def next_sign(last: Array, g: Array) -> Array:
        return jnp.where(last * jnp.sign(g) < 0, 0.0, jnp.sign(g))

    def move(g: Array, last: Array, before: Array, after: Array) -> Array:
        changed = last * jnp.sign(g) < 0
        return jnp.where(changed, before * last if backtrack else 0.0, -after * jnp.sign(g))

    def init(params: Params) -> RpropState:
        return RpropState(full(params, lr=lr), zeros(params))

    def update(
        grads: Grads, state: RpropState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, RpropState]:
        size = each(resize, state.size, state.sign, grads, **numbers)
        updates = each(move, grads, state.sign, state.size, size)
        return updates, RpropState(size, each(next_sign, state.sign, grads))

    return Rule(init, update)
