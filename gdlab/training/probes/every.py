"""A probe that is measured at some steps only."""

from typing import Any

import jax
import jax.numpy as jnp

from gdlab.engine.fill_values import fill_dtype, fill_value
from gdlab.training.probes.pairs import as_pair
from gdlab.types import Params, Probe, Problem, PyTree, Step


def every(probe: Probe, n: int) -> Probe:
    """The probe measured at multiples of `n` only; at other steps its value is NaN (-1 for integers and booleans).

    The carry of the probe does not change at other steps. Probes are measured at recorded steps only, so in a run
    recorded at multiples of r the probe is measured at the common multiples of r and `n`. All runs of a sweep are at
    the same step, so this is a branch of the compiled program, and at other steps the probe costs nothing.

    Raises:
        ValueError: `n` below 1.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, not {n}")
    init, measure = as_pair(probe)

    def due(carry: PyTree, step: Step) -> tuple[PyTree, PyTree]:
        after, value = measure(carry, step)
        value = jnp.asarray(value)
        return after, value.astype(_dtype(value.dtype))

    def thinned(carry: PyTree, step: Step) -> tuple[PyTree, Any]:
        shape = jax.eval_shape(lambda carry: due(carry, step)[1], carry)

        def skip(carry: PyTree) -> tuple[PyTree, Any]:
            return carry, jnp.full(shape.shape, fill_value(shape.dtype).item(), shape.dtype)

        return jax.lax.cond(step.index % n == 0, lambda carry: due(carry, step), skip, carry)

    def start(problem: Problem, params: Params) -> PyTree:
        return init(problem, params)

    return start, thinned


def _dtype(dtype: Any) -> Any:
    """The dtype that holds the values and the fill value, of at most 32 bits unless x64 is enabled."""
    return jax.dtypes.canonicalize_dtype(fill_dtype(dtype))
