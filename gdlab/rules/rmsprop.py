"""RMSprop (Tieleman, Hinton, 2012, lecture 6.5 of "Neural Networks for Machine Learning"); centred: Graves (2013).
https://arxiv.org/abs/1308.0850
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.rules.leafwise import each, like, zeros
from gdlab.rules.scheduled import schedulable
from gdlab.types import Grads, Params, Rule, Updates


class RmspropState(NamedTuple):
    """Moving averages."""

    square: Params  # of squared gradients; like the params, at least float32
    mean: Params  # of gradients, likewise; used where centred


@register.rule(
    "rmsprop",
    source="Tieleman & Hinton 2012; Graves 2013, eq. 38-40",
    year=2012,
    ranges={"lr": (1e-5, 1e-1), "decay": (0.5, 0.999), "eps": (1e-10, 1e-2)},
)
@schedulable
def rmsprop(lr: float = 1e-2, decay: float = 0.9, eps: float = 1e-8, centred: bool = False) -> Rule:
    """RMSprop: s <- decay s + (1 - decay) g^2, x <- x - lr g / (sqrt(s) + eps), with s = 0 at the start.

    `centred=True` divides by the deviation instead: m <- decay m + (1 - decay) g, and s - m^2 in place of s under the
    root. Neither average is corrected for its start at 0, so the first step is up to lr / sqrt(1 - decay) long.
    Epsilon stands outside the root, as in PyTorch; Graves and optax (by default) put it inside.

    >>> import jax.numpy as jnp
    >>> rule = rmsprop(lr=1.0, decay=0.75, eps=0.0)
    >>> rule.update(jnp.array([3.0]), rule.init(jnp.array([0.0])))[0].tolist()
    [-2.0]
    """

    def update(
        grads: Grads, state: RmspropState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, RmspropState]:
        square = each(lambda s, g, decay: decay * s + (1 - decay) * g * g, state.square, grads, decay=decay)
        mean = state.mean
        spread = square
        if centred:
            mean = each(lambda m, g, decay: decay * m + (1 - decay) * g, state.mean, grads, decay=decay)
            # s >= m^2 holds exactly, but rounding can put it a little below.
            spread = each(lambda s, m: jnp.maximum(s - m * m, 0), square, mean)
        updates = each(lambda s, g, lr, eps: -lr * g / (jnp.sqrt(s) + eps), spread, grads, lr=lr, eps=eps)
        return like(updates, grads), RmspropState(square, mean)

    def init(params: Params) -> RmspropState:
        return RmspropState(zeros(params), zeros(params) if centred else ())

    return Rule(init, update)
