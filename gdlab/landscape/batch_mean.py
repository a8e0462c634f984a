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

    The batches are the same at every cell of a grid: the n examples are permuted with `key` and split into B batches of
    floor(n / B); the remaining n mod B examples are not used. loss_se = s / sqrt(B), s^2 the unbiased variance of the B
    losses. If B divides n and the loss is a mean over examples, `loss` is the loss on all data.

    If `batches` is None, the result is `{"loss": loss(params, data)}`, without a standard error.

    Raises:
        ValueError: fewer than two batches, more batches than examples, or no key.
    """
    if batches is None:
        return lambda params: {"loss": loss(params, data)}
    examples = min(np.shape(leaf)[0] for leaf in jax.tree.leaves(data))
    if not 2 <= batches <= examples:
        raise ValueError(f"batches must be between 2 and {examples}, the number of examples, not {batches}")
    if key is None:
        raise ValueError("batches are drawn at random: pass key=")
    size = examples // batches
    order = jax.random.permutation(key, examples)[: batches * size].reshape(batches, size)
    parts = jax.tree.map(lambda leaf: jnp.asarray(leaf)[order], data)

    def measured(params: Params) -> dict[str, Array]:
        losses = jax.lax.map(lambda batch: loss(params, batch), parts)  # one at a time, to save memory
        return {"loss": jnp.mean(losses), "loss_se": jnp.std(losses, ddof=1) / np.sqrt(batches).astype(losses.dtype)}

    return measured
