"""The parameters of a run, and their distance from the start."""

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from gdlab import register
from gdlab.pytrees import norm
from gdlab.types import Array, Params, Probe, Problem, Step


@register.probe("position", cost="none")
def position(step: Step) -> Array:
    """All parameters as one vector [d], in the order of `jax.flatten_util.ravel_pytree`."""
    return ravel_pytree(step.params)[0]


@register.probe("distance", factory=True, cost="none")
def distance() -> Probe:
    """|x - x_0|, the Euclidean distance of the parameters from the initial parameters x_0."""

    def init(problem: Problem, params: Params) -> Params:
        return params

    def measure(start: Params, step: Step) -> tuple[Params, Array]:
        return start, norm(jax.tree.map(jnp.subtract, step.params, start))

    return init, measure
