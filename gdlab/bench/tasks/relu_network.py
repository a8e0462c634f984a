"""ReLU networks of any widths on synthetic classes; `mlp` and `wide` are two of them."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.bench.task import GD, Arrays, BenchTask, Loss, training_flops
from gdlab.engine.axes import log


def relu_network(
    name: str, sizes: Sequence[int], *, examples: int, batch: int, rates: int, steps: int, eager_runs: int
) -> BenchTask:
    """Softmax cross-entropy, gradient descent on batches drawn with replacement.

    `sizes` are the features, the widths of the hidden layers, and the number of classes. The examples are normal; the
    classes are those of a random linear teacher.

    Operations of one example forward: 2 m n for a layer from m to n units. One run: a gradient on a batch per step, and
    at the end the loss on all examples.
    """
    first, *others = (2 * inputs * outputs for inputs, outputs in pairwise(sizes))
    return BenchTask(
        name=name,
        words=f"{'-'.join(map(str, sizes))} ReLU network, batch {batch} of {examples:,}, gd",
        start=_start(jax.random.key(1), sizes),
        data=_data(jax.random.key(2), examples, sizes[0], sizes[-1]),
        batch_size=batch,
        steps=steps,
        over={"lr": log(1e-3, 0.1, rates)},
        update=GD,
        loss=loss,
        torch_loss=_torch_loss,
        flops=steps * batch * training_flops(first, sum(others)) + examples * (first + sum(others)),
        eager_runs=eager_runs,
    )


def loss(params: Arrays, batch: Arrays) -> Any:
    """Mean cross-entropy of the outputs with the classes y."""
    x, y = batch
    z = _outputs(params, x, jax.nn.relu)
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1))


def _outputs(params: Arrays, x: Any, relu: Callable[[Any], Any]) -> Any:
    """The network in arithmetic for the arrays of any framework; `params` are a kernel and a bias for each layer."""
    *hidden, last = zip(params[::2], params[1::2], strict=True)
    for kernel, bias in hidden:
        x = relu(x @ kernel + bias[None])
    return x @ last[0] + last[1][None]


def _torch_loss() -> Loss:
    import torch

    def loss(params: Arrays, batch: Arrays) -> Any:
        x, y = batch
        return torch.nn.functional.cross_entropy(_outputs(params, x, torch.relu), y)

    return loss


def _start(key: jax.Array, sizes: Sequence[int]) -> tuple[np.ndarray, ...]:
    start: list[np.ndarray] = []
    for one, (inputs, outputs) in zip(jax.random.split(key, len(sizes) - 1), pairwise(sizes), strict=True):
        start.append(np.asarray(jax.random.normal(one, (inputs, outputs)) / inputs**0.5))
        start.append(np.zeros(outputs, np.float32))
    return tuple(start)


def _data(key: jax.Array, examples: int, features: int, classes: int) -> tuple[np.ndarray, ...]:
    inputs, teacher = jax.random.split(key)
    x = np.asarray(jax.random.normal(inputs, (examples, features)))
    return x, np.argmax(x @ np.asarray(jax.random.normal(teacher, (features, classes))), axis=1)
