"""How the gradients of single examples differ."""

from typing import Any

import jax
import jax.numpy as jnp

from gdlab.rules.leafwise import widen
from gdlab.types import Array, PyTree, Step

_TOGETHER = 64  # gradients held at once: all of a large batch would take its size times the memory of the parameters


def variance(step: Step) -> tuple[PyTree, int]:
    """The variance of the gradient of one example, coordinate by coordinate, and the number B of examples.

    Over the step's batch, unbiased: 1 / (B - 1) sum_i (g_i - G)^2, g_i the gradient at example i alone and G the step's
    gradient, their mean. At least float32; NaN for one example.

    Raises:
        ValueError: the problem has no data, so there are no examples.
    """
    leaves = jax.tree.leaves(step.batch)
    if not leaves:
        raise ValueError("gradients of single examples need a problem with data, and this one has none")
    count = len(leaves[0])
    mean = widen(step.grads)

    def squares(example: Any) -> PyTree:
        alone = jax.tree.map(lambda x: x[None], example)
        grads = widen(step.problem.value_and_grad(step.params, alone)[1])
        return jax.tree.map(lambda g, centre: (g - centre) ** 2, grads, mean)

    def added(total: PyTree, some: Any) -> tuple[PyTree, None]:
        summed = jax.tree.map(lambda square: square.sum(0), jax.vmap(squares)(some))
        return jax.tree.map(jnp.add, total, summed), None

    whole = count // _TOGETHER
    blocks = jax.tree.map(lambda x: x[: whole * _TOGETHER].reshape(whole, _TOGETHER, *x.shape[1:]), step.batch)
    total, _ = jax.lax.scan(added, jax.tree.map(jnp.zeros_like, mean), blocks)
    if count % _TOGETHER:
        total, _ = added(total, jax.tree.map(lambda x: x[whole * _TOGETHER :], step.batch))

    def divided(total: Array) -> Array:
        return total / (count - 1) if count > 1 else jnp.full_like(total, jnp.nan)

    return jax.tree.map(divided, total), count
