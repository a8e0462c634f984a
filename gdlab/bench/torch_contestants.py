"""Hand-written PyTorch programs.

Their batches are drawn in advance with JAX, so their times do not include drawing.
"""

import importlib.util
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from gdlab.bench.comparison import Contestant, subset
from gdlab.bench.draws import all_rows
from gdlab.bench.task import Arrays, BenchTask, count, runs

Train = Callable[[], np.ndarray]


def torch_installed() -> bool:
    """Whether PyTorch is installed."""
    return importlib.util.find_spec("torch") is not None


def in_torch(task: BenchTask) -> list[Contestant]:
    """The PyTorch contestants; on a GPU if JAX uses one."""
    some, share = subset(count(task), task.eager_runs)
    return [
        Contestant("PyTorch loop", lambda: eager_loop(task, some), runs=some, share=share, external=True),
        Contestant("torch.func.vmap", lambda: mapped(task), external=True),
        Contestant("torch.func.vmap compiled", lambda: mapped(task, compiled=True), external=True),
    ]


def eager_loop(task: BenchTask, some: np.ndarray) -> Train:
    """A loop over runs and steps in eager mode."""
    import torch

    loss = task.torch_loss()
    start, data, batches = _on_device(task)
    over = runs(task)

    def run(given: dict[str, float]) -> float:
        params = tuple(leaf.clone().requires_grad_() for leaf in start)
        velocity = tuple(torch.zeros_like(leaf) for leaf in start) if task.update.has_velocity else ()
        for step in range(task.steps):
            grads = torch.autograd.grad(loss(params, batches(step)), params)
            with torch.no_grad():
                params, velocity = task.update.step(params, velocity, grads, **given)
            for leaf in params:
                leaf.requires_grad_()
        with torch.no_grad():
            return loss(params, data).item()

    return lambda: np.array([run({name: float(column[i]) for name, column in over.items()}) for i in some])


def mapped(task: BenchTask, compiled: bool = False) -> Train:
    """torch.func.vmap of the step over stacked runs, the batch shared; through torch.compile if `compiled`.

    The compiled step must be a single graph. PyTorch caches compiled code on disk, so only the first bench on a machine
    measures the full compilation time.
    """
    import torch
    from torch.func import grad, vmap

    loss = task.torch_loss()
    start, data, batches = _on_device(task)
    device = start[0].device
    over = {name: torch.from_numpy(column).to(device) for name, column in runs(task).items()}
    total = count(task)

    def update(params: Arrays, velocity: Arrays, given: dict[str, Any], batch: Any) -> tuple[Arrays, Arrays]:
        return task.update.step(params, velocity, grad(loss)(params, batch), **given)

    step = vmap(update, in_dims=(0, 0, 0, None))
    if compiled:
        torch.compiler.reset()
        step = torch.compile(step, fullgraph=True, dynamic=False)

    def train() -> np.ndarray:
        params = tuple(leaf.expand(total, *leaf.shape).clone() for leaf in start)
        velocity = tuple(torch.zeros_like(leaf) for leaf in params) if task.update.has_velocity else ()
        with torch.no_grad():
            for number in range(task.steps):
                params, velocity = step(params, velocity, over, batches(number))
            return vmap(loss, in_dims=(0, None))(params, data).cpu().numpy()

    return train


def _on_device(task: BenchTask) -> tuple[Arrays, Any, Callable[[int], Any]]:
    """The initial parameters, the data and the batch of each step, as tensors."""
    import torch

    device = "cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu"
    # Copies, since NumPy views of JAX arrays are read-only and PyTorch warns about such tensors.
    start = tuple(torch.from_numpy(np.array(leaf)).to(device) for leaf in task.start)
    if task.data is None:
        return start, None, lambda step: None
    data = tuple(torch.from_numpy(np.array(leaf)).to(device) for leaf in task.data)
    if task.batch_size is None:
        return start, data, lambda step: data
    drawn = torch.from_numpy(all_rows(task)).to(device)
    return start, data, lambda step: tuple(leaf[drawn[step]] for leaf in data)
