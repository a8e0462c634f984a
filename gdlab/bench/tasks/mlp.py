"""A small classifier: a typical sweep over learning rates."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.bench.task import GD, Arrays, BenchTask, Loss, training_flops
from gdlab.engine.axes import log

EXAMPLES, FEATURES, HIDDEN, CLASSES, BATCH = 1797, 64, 32, 10, 128


def mlp(rates: int = 256, steps: int = 200) -> BenchTask:
    """A 64-32-10 ReLU network, softmax cross-entropy, gradient descent on batches of 128 of 1,797 examples.

    The examples are normal; the classes are those of a random linear teacher.

    Operations of one example forward: 2 * 64 * 32 for the first layer, 2 * 32 * 10 for the second. One run: a gradient
    on 128 examples per step, and at the end the loss on all 1,797.
    """
    first, second = 2 * FEATURES * HIDDEN, 2 * HIDDEN * CLASSES
    return BenchTask(
        name="mlp",
        words=f"{FEATURES}-{HIDDEN}-{CLASSES} ReLU network, batch {BATCH} of {EXAMPLES:,}, gd",
        start=_start(jax.random.key(1)),
        data=_data(jax.random.key(2)),
        batch_size=BATCH,
        steps=steps,
        over={"lr": log(1e-3, 0.1, rates)},
        update=GD,
        loss=loss,
        torch_loss=_torch_loss,
        flops=steps * BATCH * training_flops(first, second) + EXAMPLES * (first + second),
        eager_runs=8,
    )


def loss(params: Arrays, batch: Arrays) -> Any:
    """Mean cross-entropy of `z = relu(x w + b) v + c` with the classes y."""
    (w, b, v, c), (x, y) = params, batch
    z = jax.nn.relu(x @ w + b[None]) @ v + c[None]
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1))


def _torch_loss() -> Loss:
    import torch

    def loss(params: Arrays, batch: Arrays) -> Any:
        (w, b, v, c), (x, y) = params, batch
        return torch.nn.functional.cross_entropy(torch.relu(x @ w + b) @ v + c, y)

    return loss


def _start(key: jax.Array) -> tuple[np.ndarray, ...]:
    first, second = jax.random.split(key)
    w = jax.random.normal(first, (FEATURES, HIDDEN)) / FEATURES**0.5
    v = jax.random.normal(second, (HIDDEN, CLASSES)) / HIDDEN**0.5
    return np.asarray(w), np.zeros(HIDDEN, np.float32), np.asarray(v), np.zeros(CLASSES, np.float32)


def _data(key: jax.Array) -> tuple[np.ndarray, ...]:
    inputs, teacher = jax.random.split(key)
    x = np.asarray(jax.random.normal(inputs, (EXAMPLES, FEATURES)))
    return x, np.argmax(x @ np.asarray(jax.random.normal(teacher, (FEATURES, CLASSES))), axis=1)
