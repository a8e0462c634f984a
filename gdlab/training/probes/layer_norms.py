"""Norms of the gradient and the update in each layer."""

import jax.numpy as jnp

from gdlab import register
from gdlab.curvature.layers import split
from gdlab.pytrees import norm, precision
from gdlab.types import Array, PyTree, Step


@register.probe("layer_grad_norms", cost="none")
def layer_grad_norms(step: Step) -> Array:
    """The norm of the gradient in each layer: [layers], in the order and by the names of `gdlab.curvature.split`.

    The root of the sum of their squares is `grad_norm`.
    """
    return _norms(step.grads)


@register.probe("layer_update_norms", cost="none")
def layer_update_norms(step: Step) -> Array:
    """The norm of the update in each layer: [layers], in the order and by the names of `gdlab.curvature.split`."""
    return _norms(step.updates)


def _norms(tree: PyTree) -> Array:
    return jnp.stack([norm(layer).astype(precision(tree)) for layer in split(tree).values()])
