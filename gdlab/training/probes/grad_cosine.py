"""Cosine similarity of successive gradients."""

import jax
import jax.numpy as jnp

from gdlab import register
from gdlab.pytrees import dot, norm
from gdlab.types import Array, Grads, Params, Probe, Problem, Step


@register.probe("grad_cosine", factory=True, cost="none")
def grad_cosine() -> Probe:
    """The cosine of the angle between this gradient and the one at the previous measurement.

    1 on a straight path, about -1 if the run oscillates across a valley. It is measured at recorded steps only, so
    with a record every n steps it compares gradients n steps apart. NaN at the first record, and if one of the two
    gradients is zero.
    """

    def init(problem: Problem, params: Params) -> Grads:
        return jax.tree.map(jnp.zeros_like, params)

    def measure(before: Grads, step: Step) -> tuple[Grads, Array]:
        cosine = dot(before, step.grads) / norm(before) / norm(step.grads)
        return jax.tree.map(lambda g, b: g.astype(b.dtype), step.grads, before), cosine

    return init, measure
