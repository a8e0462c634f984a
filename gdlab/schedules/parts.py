"""Conversions shared by all schedules: numbers to JAX's default float, and steps to the completed fraction."""

from typing import Any

import jax.numpy as jnp

from gdlab.types import Array

Number = float | Array


def real(number: Any) -> Array:
    """A number or step as JAX's default float."""
    return jnp.asarray(number, jnp.result_type(float))


def part(done: Array, steps: Array) -> Array:
    """The completed fraction done / steps, clipped to [0, 1]; for steps <= 0 it is 1 where `done` >= 0."""
    positive = steps > 0
    return jnp.where(positive, jnp.clip(done / jnp.where(positive, steps, 1.0), 0.0, 1.0), real(done >= 0))
