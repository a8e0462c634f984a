"""Gradient centralisation (Yong et al., 2020). https://arxiv.org/abs/2004.01461"""

from typing import Any, Literal, get_args

import jax.numpy as jnp

from gdlab import register
from gdlab.rules.leafwise import each
from gdlab.rules.options import check_option
from gdlab.rules.scheduled import Hyperparameter
from gdlab.rules.wrapping import LR, Inner, inner_rule, on_gradients, wrapper
from gdlab.types import Array, Rule

Outputs = Literal["last", "first"]
_MATRIX = 2


@register.rule(
    "centralise",
    source="Yong et al., Gradient centralization: a new optimization technique for deep neural networks, 2020",
    url="https://arxiv.org/abs/2004.01461",
    year=2020,
    ranges={"lr": (1e-4, 10.0)},
    scope="leaf",
    wraps=True,
    projects=True,
    memory=0,
    optax="centralize",
    differs='Optax takes the first axis as the outputs, as in PyTorch and with `outputs="first"`.',
)
@wrapper
def centralise(
    of: Inner = "gd",
    lr: Hyperparameter = LR,
    outputs: Outputs = "last",
    **hyperparameters: Any,
) -> Rule:
    """Gradient centralisation: the inner rule applied to g minus its mean over all axes except the outputs, per leaf.

    If the inner rule is linear in g, the mean of each output's weights is constant: the loss is minimised on that
    hyperplane. Leaves with fewer than two axes (biases) are unchanged. Kernels are [..., inputs, outputs], as in flax;
    `outputs="first"` is for PyTorch's order.

    Source: Yong et al. (2020), Equation 1.

    Raises:
        ValueError: `outputs` is neither "last" nor "first".

    >>> rule = centralise(of="gd", lr=1.0)
    >>> updates, state = rule.update(jnp.asarray([[1.0, 5.0], [3.0, 1.0]]), rule.init(jnp.zeros((2, 2))))
    >>> updates.tolist()
    [[1.0, -2.0], [-1.0, 2.0]]
    """
    check_option("outputs", outputs, get_args(Outputs))

    def centred(g: Array) -> Array:
        if g.ndim < _MATRIX or g.size == 0:
            return g
        axes = range(g.ndim - 1) if outputs == "last" else range(1, g.ndim)
        return g - jnp.broadcast_to(jnp.mean(g, axis=tuple(axes), keepdims=True), g.shape)

    return on_gradients(inner_rule(of, lr, hyperparameters), lambda grads: each(centred, grads))
