"""Gradient clipping by each leaf's own norm (Pascanu et al., 2013). https://arxiv.org/abs/1211.5063"""

from typing import Any

import jax

from gdlab import register
from gdlab.rules.clip_by_norm import clipped
from gdlab.rules.scheduled import Hyperparameter
from gdlab.rules.wrapping import LR, Inner, inner_rule, on_gradients, wrapper
from gdlab.types import Rule


@register.rule(
    "clip_by_leaf_norm",
    source="Pascanu, Mikolov & Bengio, On the difficulty of training recurrent neural networks, 2013, Algorithm 1",
    url="https://arxiv.org/abs/1211.5063",
    year=2013,
    ranges={"lr": (1e-4, 10.0), "max_norm": (1e-2, 10.0)},
    wraps=True,
    scope="leaf",
    memory=0,
    differs="Optax's clip_by_block_rms clips a leaf by its root mean square instead of its norm.",
)
@wrapper
def clip_by_leaf_norm(
    of: Inner = "gd", lr: Hyperparameter = LR, max_norm: Hyperparameter = 1.0, **hyperparameters: Any
) -> Rule:
    """Clipping by leaf norm: the inner rule applied to g min(1, max_norm / |g|) for each leaf g of the gradient.

    A large gradient in one layer does not shrink those of the others. Keras calls it `clipnorm`.

    Source: Pascanu et al. (2013), Algorithm 1, for each leaf.

    >>> rule = clip_by_leaf_norm(of="gd", lr=0.5, max_norm=2.0)
    >>> updates, state = rule.update({"w": -8.0, "b": 1.0}, rule.init({"w": 1.0, "b": 1.0}))
    >>> {name: float(update) for name, update in updates.items()}
    {'b': -0.5, 'w': 1.0}
    """
    return on_gradients(
        inner_rule(of, lr, hyperparameters), lambda grads: jax.tree.map(lambda g: clipped(g, max_norm), grads)
    )
