"""Problems made from functions of the plane."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from gdlab.problems.precision import as_float
from gdlab.types import Array, Params, Problem


def surface_2d(
    f: Callable[[Array, Array], Array],
    start: Sequence[float],
    spread: float,
    minimisers: Sequence[Sequence[Any]] = (),
    **facts: Any,
) -> Problem:
    """A Problem without data whose params are one array of shape (2,), (x, y), and whose loss is `f(x, y)`.

    The initial point is start + spread * z, with z two standard normal draws from the run's key: at `spread` 0 every
    seed starts at `start`. `minimisers` [k, 2] and `facts` become the Problem's facts.
    """

    def init(key: Array) -> Params:
        noise = jax.random.normal(key, (2,), jnp.result_type(float))
        return as_float(start) + jnp.asarray(spread, noise.dtype) * noise

    if len(minimisers):
        facts["minimisers"] = jnp.stack([as_float(row) for row in minimisers])
    return Problem(init=init, loss=lambda params, batch: f(params[0], params[1]), facts=facts)
