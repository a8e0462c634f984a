"""A tiny network on sixteen examples: thousands of cheap runs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.bench.task import GD, Arrays, BenchTask, Loss
from gdlab.engine.axes import log

WIDTH, EXAMPLES = 16, 16


def tanh(rates: int = 4096, steps: int = 500) -> BenchTask:
    """A 1-16-1 tanh network, mean squared error on sin(3x) at sixteen points in [-1, 1], full batch, gradient descent.

    No operations are counted, since a product with one feature is not a meaningful matrix product.
    """
    x = np.linspace(-1, 1, EXAMPLES, dtype=np.float32)[:, None]
    w, v = jax.random.normal(jax.random.key(1), (2, WIDTH))
    return BenchTask(
        name="tanh",
        words=f"1-{WIDTH}-1 tanh network, all {EXAMPLES} examples, gd",
        start=(
            np.asarray(w)[None],
            np.zeros(WIDTH, np.float32),
            np.asarray(v)[:, None] / np.float32(WIDTH**0.5),
            np.zeros(1, np.float32),
        ),
        data=(x, np.sin(3 * x)),
        batch_size=None,
        steps=steps,
        over={"lr": log(1e-3, 0.1, rates)},
        update=GD,
        loss=loss,
        torch_loss=_torch_loss,
        flops=None,
        eager_runs=4,
    )


def loss(params: Arrays, batch: Arrays) -> Any:
    """Mean of (tanh(x w + b) v + c - y)^2."""
    (w, b, v, c), (x, y) = params, batch
    return jnp.mean((jnp.tanh(x @ w + b[None]) @ v + c[None] - y) ** 2)


def _torch_loss() -> Loss:
    import torch

    def loss(params: Arrays, batch: Arrays) -> Any:
        (w, b, v, c), (x, y) = params, batch
        return torch.mean((torch.tanh(x @ w + b) @ v + c - y) ** 2)

    return loss
