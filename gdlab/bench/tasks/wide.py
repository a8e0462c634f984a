"""A wide network: large matrix products and few runs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.bench.task import GD, Arrays, BenchTask, Loss, training_flops
from gdlab.engine.axes import log

FEATURES, WIDTH, CLASSES = 784, 256, 10
EXAMPLES, BATCH = 2048, 128


def wide(rates: int = 16, steps: int = 100) -> BenchTask:
    """A 784-256-256-10 ReLU network, softmax cross-entropy, gradient descent on batches of 128 of 2,048 examples.

    The examples are normal; the classes are those of a random linear teacher.

    Operations of one example forward: 2 * 784 * 256 for the first layer, 2 * 256 * 256 for the second, 2 * 256 * 10 for
    the third. One run: a gradient on 128 examples per step, and at the end the loss on all 2,048.
    """
    first, others = 2 * FEATURES * WIDTH, 2 * WIDTH * WIDTH + 2 * WIDTH * CLASSES
    return BenchTask(
        name="wide",
        words=f"{FEATURES}-{WIDTH}-{WIDTH}-{CLASSES} ReLU network, batch {BATCH} of {EXAMPLES:,}, gd",
        start=_start(jax.random.key(1)),
        data=_data(jax.random.key(2)),
        batch_size=BATCH,
        steps=steps,
        over={"lr": log(1e-3, 0.1, rates)},
        update=GD,
        loss=loss,
        torch_loss=_torch_loss,
        flops=steps * BATCH * training_flops(first, others) + EXAMPLES * (first + others),
        eager_runs=8,
    )


def loss(params: Arrays, batch: Arrays) -> Any:
    """Mean cross-entropy of `z = relu(relu(x u + a) w + b) v + c` with the classes y."""
    (u, a, w, b, v, c), (x, y) = params, batch
    z = jax.nn.relu(jax.nn.relu(x @ u + a[None]) @ w + b[None]) @ v + c[None]
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1))


def _torch_loss() -> Loss:
    import torch

    def loss(params: Arrays, batch: Arrays) -> Any:
        (u, a, w, b, v, c), (x, y) = params, batch
        z = torch.relu(torch.relu(x @ u + a) @ w + b) @ v + c
        return torch.nn.functional.cross_entropy(z, y)

    return loss


def _start(key: jax.Array) -> tuple[np.ndarray, ...]:
    sizes = ((FEATURES, WIDTH), (WIDTH, WIDTH), (WIDTH, CLASSES))
    start: list[np.ndarray] = []
    for key_, (inputs, outputs) in zip(jax.random.split(key, len(sizes)), sizes, strict=True):
        start.append(np.asarray(jax.random.normal(key_, (inputs, outputs)) / inputs**0.5))
        start.append(np.zeros(outputs, np.float32))
    return tuple(start)


def _data(key: jax.Array) -> tuple[np.ndarray, ...]:
    inputs, teacher = jax.random.split(key)
    x = np.asarray(jax.random.normal(inputs, (EXAMPLES, FEATURES)))
    return x, np.argmax(x @ np.asarray(jax.random.normal(teacher, (FEATURES, CLASSES))), axis=1)
