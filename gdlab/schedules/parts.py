"""What every schedule is made of: numbers of JAX's default float, and how much of a stretch of steps is done."""

from typing import Any

import jax.numpy as jnp

from gdlab.types import Array

Number = float | Array


def real(number: Any) -> Array:
    """A number, or a step, of JAX's default float."""
    return jnp.asarray(number, jnp.result_type(float))


def part(done: Array, steps: Array) -> Array:
    """How much of `steps` is done, from 0 to 1; where there are no steps, all of it from `done` = 0 on."""
    some = steps > 0
    return jnp.where(some, jnp.clip(done / jnp.where(some, steps, 1.0), 0.0, 1.0), real(done >= 0))
