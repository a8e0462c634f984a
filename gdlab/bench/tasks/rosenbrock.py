"""Two parameters and a quarter of a million runs: measures the overhead of the engine."""

from typing import Any

import numpy as np

from gdlab.bench.task import MOMENTUM, Arrays, BenchTask, Loss
from gdlab.engine.axes import linear, log


def rosenbrock(rates: int = 512, betas: int = 512, steps: int = 1000) -> BenchTask:
    """Momentum on (1 - x)^2 + 100 (y - x^2)^2 from (-1.2, 1), over `lr` and `beta`.

    The learning rates are low enough for every run to stay finite, since an engine may stop diverged runs early.
    """
    return BenchTask(
        name="rosenbrock",
        words="Rosenbrock's function, momentum",
        start=(np.array([-1.2, 1.0], np.float32),),
        data=None,
        batch_size=None,
        steps=steps,
        over={"lr": log(1e-5, 3e-4, rates), "beta": linear(0.0, 0.9, betas)},
        update=MOMENTUM,
        loss=loss,
        torch_loss=_torch_loss,
        flops=None,
        eager_runs=4,
    )


def loss(params: Arrays, batch: None) -> Any:
    """(1 - x)^2 + 100 (y - x^2)^2."""
    (place,) = params
    x, y = place[0], place[1]
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def _torch_loss() -> Loss:
    return loss  # plain arithmetic, which works on tensors too
