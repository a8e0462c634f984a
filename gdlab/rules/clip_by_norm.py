"""Gradient clipping by the norm of the whole gradient (Pascanu et al., 2013). https://arxiv.org/abs/1211.5063"""

from typing import Any

import jax.numpy as jnp

from gdlab import register
from gdlab.pytrees import norm
from gdlab.rules.leafwise import each
from gdlab.rules.scheduled import Hyperparameter
from gdlab.rules.wrapping import LR, Inner, inner_rule, on_gradients, wrapper
from gdlab.types import Array, Grads, Rule


@register.rule(
    "clip_by_norm",
    source="Pascanu, Mikolov & Bengio, On the difficulty of training recurrent neural networks, 2013, Algorithm 1",
    url="https://arxiv.org/abs/1211.5063",
    year=2013,
    ranges={"lr": (1e-4, 10.0), "max_norm": (1e-2, 10.0)},
    wraps=True,
    scope="tree",
    memory=0,
    optax="clip_by_global_norm",
)
@wrapper
def clip_by_norm(
    of: Inner = "gd", lr: Hyperparameter = LR, max_norm: Hyperparameter = 1.0, **hyperparameters: Any
) -> Rule:
    """Clipping by norm: the inner rule applied to g min(1, max_norm / |g|), with |g| over all parameters.

    It keeps the direction of the gradient. `clip_by_leaf_norm` clips each leaf by its own norm.

    Source: Pascanu et al. (2013), Algorithm 1.

    >>> rule = clip_by_norm(of="gd", lr=0.5, max_norm=2.0)
    >>> updates, state = rule.update(-8.0, rule.init(1.0))
    >>> float(updates)
    1.0
    """

    return on_gradients(inner_rule(of, lr, hyperparameters), lambda grads: clipped(grads, max_norm))


def clipped(grads: Grads, max_norm: Hyperparameter) -> Grads:
    """g min(1, max_norm / |g|)."""
    return each(_clip, grads, norm=norm(grads), max_norm=max_norm)


def _clip(g: Array, *, norm: Array, max_norm: Array) -> Array:
    return g * jnp.where(norm > max_norm, max_norm / jnp.where(norm > max_norm, norm, 1), 1)
