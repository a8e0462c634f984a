"""A recurrent network: many small sequential matrix products."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.bench.task import GD, Arrays, BenchTask, Loss, training_flops
from gdlab.engine.axes import log

WIDTH, LENGTH, FEATURES = 16, 16, 4
EXAMPLES, BATCH = 512, 32


def gru(rates: int = 128, steps: int = 50) -> BenchTask:
    """A GRU cell of width 16 on sequences of 16 times 4 features, regression, batches of 32 of 512.

    r, s = sigmoid(x A + b + h B), n = tanh(x A + b + r * (h B)), h <- (1 - s) n + s h, each gate with its third of
    A, b and B, from h = 0. The target of h v + c is the sum of the first feature, discounted by 0.8 per time step.
    Mean squared error, gradient descent.

    Operations of one example forward: 16 times 2 * 4 * 48 for the products with the features, 16 times 2 * 16 * 48 for
    those with the state (of which the first, with h = 0, is counted too), 2 * 16 for the output. One run: a gradient on
    32 examples per step, and at the end the loss on all 512.
    """
    first = LENGTH * 2 * FEATURES * 3 * WIDTH
    others = LENGTH * 2 * WIDTH * 3 * WIDTH + 2 * WIDTH
    return BenchTask(
        name="gru",
        words=f"GRU of width {WIDTH}, {LENGTH} times {FEATURES} features, batch {BATCH} of {EXAMPLES}, gd",
        start=_start(jax.random.key(1)),
        data=_data(jax.random.key(2)),
        batch_size=BATCH,
        steps=steps,
        over={"lr": log(1e-3, 0.1, rates)},
        update=GD,
        loss=loss,
        torch_loss=_torch_loss,
        flops=steps * BATCH * training_flops(first, others) + EXAMPLES * (first + others),
        eager_runs=4,
    )


def loss(params: Arrays, batch: Arrays) -> Any:
    """Mean squared error; sequences [n, 16, 4], targets [n, 1]."""
    (A, b, B, v, c), (x, y) = params, batch

    def cell(h: Any, given: Any) -> tuple[Any, None]:
        own = h @ B
        r, s = (jax.nn.sigmoid(given[:, part] + own[:, part]) for part in _GATES)
        n = jnp.tanh(given[:, _NEW] + r * own[:, _NEW])
        return (1 - s) * n + s * h, None

    h, _ = jax.lax.scan(cell, jnp.zeros((len(x), WIDTH), x.dtype), jnp.swapaxes(x @ A + b[None, None], 0, 1))
    return jnp.mean((h @ v + c[None] - y) ** 2)


def _torch_loss() -> Loss:
    import torch

    def loss(params: Arrays, batch: Arrays) -> Any:
        (A, b, B, v, c), (x, y) = params, batch
        h = torch.zeros(len(x), WIDTH, dtype=x.dtype, device=x.device)
        for given in (x @ A + b).unbind(1):
            own = h @ B
            r, s = (torch.sigmoid(given[:, part] + own[:, part]) for part in _GATES)
            n = torch.tanh(given[:, _NEW] + r * own[:, _NEW])
            h = (1 - s) * n + s * h
        return torch.mean((h @ v + c - y) ** 2)

    return loss


_GATES = (slice(WIDTH), slice(WIDTH, 2 * WIDTH))
_NEW = slice(2 * WIDTH, None)


def _start(key: jax.Array) -> tuple[np.ndarray, ...]:
    given, own, out = jax.random.split(key, 3)
    return (
        np.asarray(jax.random.normal(given, (FEATURES, 3 * WIDTH))) / np.float32(FEATURES**0.5),
        np.zeros(3 * WIDTH, np.float32),
        np.asarray(jax.random.normal(own, (WIDTH, 3 * WIDTH))) / np.float32(WIDTH**0.5),
        np.asarray(jax.random.normal(out, (WIDTH, 1))) / np.float32(WIDTH**0.5),
        np.zeros(1, np.float32),
    )


def _data(key: jax.Array) -> tuple[np.ndarray, ...]:
    x = np.asarray(jax.random.normal(key, (EXAMPLES, LENGTH, FEATURES)))
    discounts = 0.8 ** np.arange(LENGTH - 1, -1, -1, dtype=np.float32)
    return x, x[:, :, :1].transpose(0, 2, 1) @ discounts
