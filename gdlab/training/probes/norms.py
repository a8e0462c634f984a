"""Euclidean norms of the gradient, the update and the parameters."""

from gdlab import register
from gdlab.pytrees import norm
from gdlab.types import Array, Step


@register.probe("grad_norm", cost="none")
def grad_norm(step: Step) -> Array:
    """The norm of the gradient on the batch of the step."""
    return norm(step.grads)


@register.probe("update_norm", cost="none")
def update_norm(step: Step) -> Array:
    """The norm of the update."""
    return norm(step.updates)


@register.probe("param_norm", cost="none")
def param_norm(step: Step) -> Array:
    """The norm of the parameters at which the gradient is evaluated."""
    return norm(step.params)
