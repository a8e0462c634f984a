"""Variance of the gradients of single examples."""

from typing import Any

import jax
import jax.numpy as jnp

from gdlab.rules.leafwise import widen
from gdlab.types import Array, PyTree, Step

_TOGETHER = 64  # the number of gradients in memory at once, each of the size of the parameters


def variance(step: Step) -> tuple[PyTree, int]:
    """The elementwise variance of the gradients of single examples, and the number B of examples.

    Unbiased, over the batch of the step: 1 / (B - 1) sum_i (g_i - G)^2, g_i the gradient at example i and G their mean,
    the gradient of the step. At least float32; NaN for one example.

    Raises:
        ValueError: the problem has no data, so there are no examples.
    """
    leaves = jax.tree.leaves(step.batch)
    if not leaves:
        raise ValueError("this probe needs the gradients of single examples, but the problem has no data")
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
