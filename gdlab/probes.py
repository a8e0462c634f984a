"""What can be measured at a step of a run. Each is a pure function of a `Step`; norms are Euclidean, over all
parameters."""

from jax.flatten_util import ravel_pytree

from gdlab import register
from gdlab.inner_product import norm
from gdlab.types import Array, Step


@register.probe("grad_norm")
def grad_norm(step: Step) -> Array:
    """The norm of the gradient on the step's batch."""
    return norm(step.grads)


@register.probe("update_norm")
def update_norm(step: Step) -> Array:
    """The norm of the update, that is the length of the step."""
    return norm(step.updates)


@register.probe("param_norm")
def param_norm(step: Step) -> Array:
    """The norm of the parameters at which the gradient was taken."""
    return norm(step.params)


@register.probe("position")
def position(step: Step) -> Array:
    """All parameters as one vector [d], in the order of `jax.flatten_util.ravel_pytree`: the path of a run."""
    return ravel_pytree(step.params)[0]
