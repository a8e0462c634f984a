"""What people write by hand in PyTorch.

The batches are drawn beforehand, which spares these contestants the draw; PyTorch could not draw the same ones.
"""

import importlib.util
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from gdlab.bench.contest import Contestant, subset
from gdlab.bench.draws import all_rows
from gdlab.bench.task import Arrays, Task, count, runs

Train = Callable[[], np.ndarray]


def torch_is_there() -> bool:
    """Whether PyTorch is installed."""
    return importlib.util.find_spec("torch") is not None


def in_torch(task: Task) -> list[Contestant]:
    """The contestants that need PyTorch; on its GPU if JAX computes on one too."""
    some, share = subset(count(task), task.eager_runs)
    return [
        Contestant("PyTorch loop", lambda: eager_loop(task, some), runs=some, share=share, guest=True),
        Contestant("torch.func.vmap", lambda: mapped(task), guest=True),
        Contestant("torch.func.vmap compiled", lambda: mapped(task, compiled=True), guest=True),
    ]


def eager_loop(task: Task, some: np.ndarray) -> Train:
    """A run after a run, a step after a step, each operation by itself."""
    import torch

    loss = task.torch_loss()
    start, data, batches = _on_device(task)
    over = runs(task)

    def run(given: dict[str, float]) -> float:
        params = tuple(leaf.clone().requires_grad_() for leaf in start)
        velocity = tuple(torch.zeros_like(leaf) for leaf in start) if task.update.remembers else ()
        for step in range(task.steps):
            grads = torch.autograd.grad(loss(params, batches(step)), params)
            with torch.no_grad():
                params, velocity = task.update.step(params, velocity, grads, **given)
            for leaf in params:
                leaf.requires_grad_()
        with torch.no_grad():
            return loss(params, data).item()

    return lambda: np.array([run({name: float(column[i]) for name, column in over.items()}) for i in some])


def mapped(task: Task, compiled: bool = False) -> Train:
    """torch.func.vmap of the step over stacked runs, the batch shared; through torch.compile if `compiled`.

    The compiled step is one graph or it fails. PyTorch keeps what it compiled on disk, so only the first bench on a
    machine shows in full what compiling costs.
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
        velocity = tuple(torch.zeros_like(leaf) for leaf in params) if task.update.remembers else ()
        with torch.no_grad():
            for number in range(task.steps):
                params, velocity = step(params, velocity, over, batches(number))
            return vmap(loss, in_dims=(0, None))(params, data).cpu().numpy()

    return train


def _on_device(task: Task) -> tuple[Arrays, Any, Callable[[int], Any]]:
    """The start, the data and the batch of each step as tensors."""
    import torch

    device = "cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu"
    # NumPy's views of JAX's arrays can't be written to, and PyTorch warns of such tensors: hence the copies.
    start = tuple(torch.from_numpy(np.array(leaf)).to(device) for leaf in task.start)
    if task.data is None:
        return start, None, lambda step: None
    data = tuple(torch.from_numpy(np.array(leaf)).to(device) for leaf in task.data)
    if task.batch_size is None:
        return start, data, lambda step: data
    drawn = torch.from_numpy(all_rows(task)).to(device)
    return start, data, lambda step: tuple(leaf[drawn[step]] for leaf in data)
