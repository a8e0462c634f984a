"""How far gradients agree from one measurement to the next."""

import jax
import jax.numpy as jnp

from gdlab import register
from gdlab.pytrees import dot, norm
from gdlab.types import Array, Grads, Params, Probe, Problem, Step


@register.probe("grad_cosine", factory=True, cost="none")
def grad_cosine() -> Probe:
    """The cosine of the angle between this gradient and that of the measurement before: 1 along a straight way down.

    About -1 where the run jumps from side to side of a valley. Between records nothing is measured, so with records at
    every n-th step it compares gradients n steps apart. NaN at the first, and where one of the two is zero.
    """

    def init(problem: Problem, params: Params) -> Grads:
        return jax.tree.map(jnp.zeros_like, params)

    def measure(before: Grads, step: Step) -> tuple[Grads, Array]:
        cosine = dot(before, step.grads) / norm(before) / norm(step.grads)
        return jax.tree.map(lambda g, b: g.astype(b.dtype), step.grads, before), cosine

    return init, measure
