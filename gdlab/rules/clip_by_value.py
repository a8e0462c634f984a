"""Gradient clipping by value (Mikolov, 2012). https://arxiv.org/abs/1211.5063"""

from typing import Any

import jax.numpy as jnp

from gdlab import register
from gdlab.rules.leafwise import each
from gdlab.rules.scheduled import Hyperparameter
from gdlab.rules.wrapping import LR, Inner, inner_rule, on_gradients, wrapper
from gdlab.types import Rule


@register.rule(
    "clip_by_value",
    source="Mikolov, Statistical language models based on neural networks, 2012",
    url="https://arxiv.org/abs/1211.5063",
    year=2012,
    ranges={"lr": (1e-4, 10.0), "max_value": (1e-2, 10.0)},
    wraps=True,
    memory=0,
    optax="clip",
)
@wrapper
def clip_by_value(
    of: Inner = "gd", lr: Hyperparameter = LR, max_value: Hyperparameter = 1.0, **hyperparameters: Any
) -> Rule:
    """Clipping by value: the inner rule applied to min(max(g, -max_value), max_value), for each coordinate g.

    It changes the direction of the gradient; `clip_by_norm` does not.

    Source: Mikolov (2012); as an alternative to norms in Pascanu, Mikolov & Bengio (2013), Section 3.2.

    >>> rule = clip_by_value(of="gd", lr=0.5, max_value=2.0)
    >>> updates, state = rule.update(-8.0, rule.init(1.0))
    >>> float(updates)
    1.0
    """
    return on_gradients(
        inner_rule(of, lr, hyperparameters),
        lambda grads: each(lambda g, max_value: jnp.clip(g, -max_value, max_value), grads, max_value=max_value),
    )
