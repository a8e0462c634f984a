"""A piece of work for the bench: what is trained at which hyperparameters, in equations that any framework can run."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from gdlab.rules import gd, momentum
from gdlab.types import RuleFactory

# Parameters, velocities and batches are tuples of arrays, which every framework maps over alike.
Arrays = tuple[Any, ...]
Loss = Callable[[Arrays, Any], Any]


class Update(NamedTuple):
    """An update rule twice: the lab's, and in arithmetic that holds for the arrays of any framework."""

    rule: RuleFactory
    remembers: bool  # whether there is a velocity; it starts at 0
    step: Callable[..., tuple[Arrays, Arrays]]  # (params, velocity, grads, **hyperparameters) -> (params, velocity)


class Task(NamedTuple):
    """What all contestants compute: `steps` updates of each run from one starting point, then its loss on all data."""

    name: str
    words: str
    start: tuple[np.ndarray, ...]
    data: tuple[np.ndarray, ...] | None
    batch_size: int | None  # drawn with replacement at each step; None: all data
    steps: int
    over: Mapping[str, np.ndarray]  # the hyperparameters of `update`; the runs are the product, the last one fastest
    update: Update
    loss: Loss  # in JAX
    torch_loss: Callable[[], Loss]  # imports torch when it is called
    flops: float | None  # of the matrix products and convolutions of one run; None where there are none to speak of
    eager_runs: int  # how many runs a framework that runs each operation by itself can take in a second or two


def runs(task: Task) -> dict[str, np.ndarray]:
    """The hyperparameters of each run, float32 [runs]."""
    grid = np.meshgrid(*task.over.values(), indexing="ij")
    return {name: axis.ravel().astype(np.float32) for name, axis in zip(task.over, grid, strict=True)}


def count(task: Task) -> int:
    """How many runs there are."""
    return math.prod(len(axis) for axis in task.over.values())


def training_flops(first: float, others: float) -> float:
    """The operations of one gradient, from those of the forward pass: of products with the examples, and of all others.

    A product of the forward pass has two of its size in the backward pass, one for either factor; but the examples need
    no gradient. So 2 first + 3 others.
    """
    return 2 * first + 3 * others


def _gd(params: Arrays, velocity: Arrays, grads: Arrays, lr: Any) -> tuple[Arrays, Arrays]:
    return tuple(x - lr * g for x, g in zip(params, grads, strict=True)), velocity


def _momentum(params: Arrays, velocity: Arrays, grads: Arrays, lr: Any, beta: Any) -> tuple[Arrays, Arrays]:
    velocity = tuple(beta * v + g for v, g in zip(velocity, grads, strict=True))
    return tuple(x - lr * v for x, v in zip(params, velocity, strict=True)), velocity


GD = Update(gd, remembers=False, step=_gd)
MOMENTUM = Update(momentum, remembers=True, step=_momentum)
