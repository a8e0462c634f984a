"""A loss as the mean over batches, with its standard error."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.types import Array, Params, PyTree


def batched(
    loss: Callable[[Params, Any], Array], data: PyTree, batches: int | None = None, key: Array | None = None
) -> Callable[[Params], dict[str, Array]]:
    """`params -> {"loss", "loss_se"}`, the mean of a loss over B batches and the standard error of that mean.

    The batches are fixed, so every cell of a grid sees the same ones: n examples in an order drawn from `key`, cut into
    B parts of floor(n / B); the n mod B that are left over are not seen. loss_se = s / sqrt(B), s^2 the variance of the
    B losses with B - 1 below. Where B divides n and the loss is a mean over examples, `loss` is that on all data.

    `batches` None is the full batch: `{"loss": loss(params, data)}`, without an error.

    Raises:
        ValueError: fewer than two batches, more than examples, or none of the key that must draw them.
    """
    if batches is None:
        return lambda params: {"loss": loss(params, data)}
    examples = min(np.shape(leaf)[0] for leaf in jax.tree.leaves(data))
    if not 2 <= batches <= examples:
        raise ValueError(f"a standard error needs 2 batches at least, and there are {examples} examples: not {batches}")
    if key is None:
        raise ValueError("batches are drawn from a key: pass one")
    size = examples // batches
    order = jax.random.permutation(key, examples)[: batches * size].reshape(batches, size)
    cut = jax.tree.map(lambda leaf: jnp.asarray(leaf)[order], data)

    def measured(params: Params) -> dict[str, Array]:
        losses = jax.lax.map(lambda batch: loss(params, batch), cut)  # one after the other: a cell needs no more memory
        return {"loss": jnp.mean(losses), "loss_se": jnp.std(losses, ddof=1) / np.sqrt(batches).astype(losses.dtype)}

    return measured
