"""A small convolutional network; under vmap its convolutions become grouped convolutions."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.bench.task import GD, Arrays, BenchTask, Loss, training_flops
from gdlab.engine.axes import log

SIDE, FIRST, SECOND, CLASSES = 8, 8, 16, 10
EXAMPLES, BATCH = 512, 64


def cnn(rates: int = 64, steps: int = 50) -> BenchTask:
    """Convolutions 3x3x8 and 3x3x16 (stride 2), ReLU, a dense layer to 10 classes; 8x8x1 images, batches of 64 of 512.

    The images are normal; the classes are those of a random linear teacher.

    Operations of one example forward: 2 * 8*8 * 9 * 8 for the first convolution, 2 * 4*4 * 9*8 * 16 for the second,
    2 * 256 * 10 for the dense layer (products with the padding are counted). One run: a gradient on 64 examples per
    step, and at the end the loss on all 512.
    """
    half = SIDE // 2
    first = 2 * SIDE**2 * 9 * FIRST
    others = 2 * half**2 * 9 * FIRST * SECOND + 2 * half**2 * SECOND * CLASSES
    return BenchTask(
        name="cnn",
        words=f"{SIDE}x{SIDE} images, convolutions of {FIRST} and {SECOND}, batch {BATCH} of {EXAMPLES}, gd",
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
    """Mean cross-entropy; images [n, 8, 8, 1], kernels [3, 3, in, out], one pixel of padding on each side."""
    (first, second, v, c), (x, y) = params, batch
    h = jax.nn.relu(_convolved(x, first, 1))
    h = jax.nn.relu(_convolved(h, second, 2))
    z = h.reshape(len(h), -1) @ v + c[None]
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1))


def _convolved(x: Any, kernel: Any, stride: int) -> Any:
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), [(1, 1), (1, 1)], dimension_numbers=layout)


def _torch_loss() -> Loss:
    import torch
    from torch.nn.functional import conv2d, cross_entropy

    def loss(params: Arrays, batch: Arrays) -> Any:
        (first, second, v, c), (x, y) = params, batch
        h = torch.relu(conv2d(x.permute(0, 3, 1, 2), first.permute(3, 2, 0, 1), padding=1))
        h = torch.relu(conv2d(h, second.permute(3, 2, 0, 1), padding=1, stride=2))
        return cross_entropy(h.permute(0, 2, 3, 1).flatten(1) @ v + c, y)

    return loss


def _start(key: jax.Array) -> tuple[np.ndarray, ...]:
    shapes = ((3, 3, 1, FIRST), (3, 3, FIRST, SECOND), (SECOND * (SIDE // 2) ** 2, CLASSES))
    keys = jax.random.split(key, 3)
    kernels = [
        np.asarray(jax.random.normal(key, shape) / np.prod(shape[:-1]) ** 0.5)
        for key, shape in zip(keys, shapes, strict=True)
    ]
    return *kernels, np.zeros(CLASSES, np.float32)


def _data(key: jax.Array) -> tuple[np.ndarray, ...]:
    inputs, teacher = jax.random.split(key)
    x = np.asarray(jax.random.normal(inputs, (EXAMPLES, SIDE, SIDE, 1)))
    scores = x.reshape(EXAMPLES, -1) @ np.asarray(jax.random.normal(teacher, (SIDE**2, CLASSES)))
    return x, np.argmax(scores, axis=1)
