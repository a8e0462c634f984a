"""A probe that is measured less often than the others."""

from typing import Any

import jax
import jax.numpy as jnp

from gdlab.training.probes.pairs import as_pair
from gdlab.types import Params, Probe, Problem, PyTree, Step


def every(probe: Probe, n: int) -> Probe:
    """The same probe, measured only at steps whose number is a multiple of `n`: NaN elsewhere (-1 for whole numbers).

    What it carries from step to step stays as it was in between. Only what is recorded is measured: of a run recorded
    at multiples of r, the common multiples of r and `n`. The step's number is the same for all runs of a sweep, so this
    is a branch in the compiled program, and in between the probe costs nothing.

    Raises:
        ValueError: `n` below 1.
    """
    if n < 1:
        raise ValueError(f"a probe is measured at multiples of a number of steps, at least 1, not {n}")
    init, measure = as_pair(probe)

    def due(carry: PyTree, step: Step) -> tuple[PyTree, PyTree]:
        after, value = measure(carry, step)
        return after, _signed(jnp.asarray(value))

    def thinned(carry: PyTree, step: Step) -> tuple[PyTree, Any]:
        shape = jax.eval_shape(lambda carry: due(carry, step)[1], carry)

        def skip(carry: PyTree) -> tuple[PyTree, Any]:
            blank = jnp.nan if jnp.issubdtype(shape.dtype, jnp.inexact) else -1
            return carry, jnp.full(shape.shape, blank, shape.dtype)

        return jax.lax.cond(step.index % n == 0, lambda carry: due(carry, step), skip, carry)

    def start(problem: Problem, params: Params) -> PyTree:
        return init(problem, params)

    return start, thinned


def _signed(value: jax.Array) -> jax.Array:
    """The value in a dtype that holds the blank: truth values and unsigned numbers as signed ones."""
    dtype = value.dtype
    signed = jnp.issubdtype(dtype, jnp.inexact) or jnp.issubdtype(dtype, jnp.signedinteger)
    return value if signed else value.astype(jnp.int32)
