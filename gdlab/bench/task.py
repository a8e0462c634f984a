"""A benchmark task: a problem and an update rule, written in arithmetic that works on arrays of any framework."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from gdlab.rules import gd, momentum
from gdlab.types import RuleFactory

# Parameters, velocities and batches are tuples of arrays, which every framework accepts as pytrees.
Arrays = tuple[Any, ...]
Loss = Callable[[Arrays, Any], Any]


class Update(NamedTuple):
    """An update rule of gdlab, and the same rule in arithmetic for the arrays of any framework."""

    rule: RuleFactory
    has_velocity: bool  # whether the state is a velocity, initially 0; otherwise ()
    step: Callable[..., tuple[Arrays, Arrays]]  # (params, velocity, grads, **hyperparameters) -> (params, velocity)


class BenchTask(NamedTuple):
    """The work of all contestants: `steps` updates of each run from the same start, then its loss on all data."""

    name: str
    words: str
    start: tuple[np.ndarray, ...]
    data: tuple[np.ndarray, ...] | None
    batch_size: int | None  # drawn with replacement at each step; None: all data
    steps: int
    over: Mapping[str, np.ndarray]  # hyperparameters of `update`; the runs are their product, the last varies fastest
    update: Update
    loss: Loss  # in JAX
    torch_loss: Callable[[], Loss]  # imports torch when called
    flops: float | None  # of the matrix products and convolutions of one run; None if negligible
    eager_runs: int  # the number of runs that eager frameworks train, about one or two seconds of work


def runs(task: BenchTask) -> dict[str, np.ndarray]:
    """The hyperparameters of each run, float32 [runs]."""
    grid = np.meshgrid(*task.over.values(), indexing="ij")
    return {name: axis.ravel().astype(np.float32) for name, axis in zip(task.over, grid, strict=True)}


def count(task: BenchTask) -> int:
    """The number of runs."""
    return math.prod(len(axis) for axis in task.over.values())


def training_flops(first: float, others: float) -> float:
    """The operations of one gradient.

    In the forward pass, `first` operations are for products with the examples and `others` for all other products.

    For each product of the forward pass, the backward pass has one product of the same size per factor. The examples
    need no gradient, so the sum is 2 first + 3 others.
    """
    return 2 * first + 3 * others


def _gd(params: Arrays, velocity: Arrays, grads: Arrays, lr: Any) -> tuple[Arrays, Arrays]:
    return tuple(x - lr * g for x, g in zip(params, grads, strict=True)), velocity


def _momentum(params: Arrays, velocity: Arrays, grads: Arrays, lr: Any, beta: Any) -> tuple[Arrays, Arrays]:
    velocity = tuple(beta * v + g for v, g in zip(velocity, grads, strict=True))
    return tuple(x - lr * v for x, v in zip(params, velocity, strict=True)), velocity


GD = Update(gd, has_velocity=False, step=_gd)
MOMENTUM = Update(momentum, has_velocity=True, step=_momentum)
