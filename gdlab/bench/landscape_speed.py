"""Time of a loss surface with the engine and with loops over its cells in JAX and PyTorch, and the cost of a probe."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.bench.comparison import Contestant, Tell, Timing, compare, ratio, subset
from gdlab.bench.matmul_peak import matmul_peak
from gdlab.bench.table import Measured, Table, figures
from gdlab.bench.tasks.mlp import BATCH, CLASSES, EXAMPLES, FEATURES, HIDDEN, mlp
from gdlab.bench.torch_contestants import torch_installed
from gdlab.landscape import Plane, at, random_plane, surface
from gdlab.rules.gd import gd
from gdlab.training.probes import sharpness
from gdlab.training.sweep import sweep
from gdlab.types import Problem

HEADER = (
    *("contestant", "cells", "seconds", "first call, s", "cells/s"),
    *("GFLOP/s", "of peak", "time / engine's", "apart"),
)
# The number of cells that a loop evaluates; its time is scaled to all cells.
LOOPED, BATCHED = 400, 40
# Operations of one cell: the forward pass on all examples.
FLOPS = EXAMPLES * 2 * (FEATURES * HIDDEN + HIDDEN * CLASSES)
PROBED_STEPS, INTERVAL = 200, 20


def landscape_speed(points: int, repeats: int, tell: Tell = lambda text: None) -> Measured:
    """Time the loss of a 64-32-10 network at `points` x `points` cells of a random plane, for each contestant."""
    task = mlp()
    data = jax.tree.map(jnp.asarray, task.data)
    centre = tuple(map(jnp.asarray, task.start))
    plane = random_plane(jax.random.key(0), centre)
    values = np.linspace(-1, 1, points, dtype=np.float32)
    cells = np.stack(np.meshgrid(values, values, indexing="ij"), -1).reshape(-1, 2)  # (y, x)
    some, share = subset(len(cells), LOOPED)

    def engine() -> Any:
        def drawn() -> np.ndarray:
            return surface(lambda params: task.loss(params, data), plane, values, values)["loss"].values.ravel()

        return drawn

    def mapped() -> Any:
        whole = jax.jit(lambda plane, cells, data: jax.vmap(lambda c: task.loss(at(plane, c[1], c[0]), data))(cells))
        return lambda: np.asarray(whole(plane, cells, data))

    def loop() -> Any:
        one = jax.jit(lambda plane, y, x, data: task.loss(at(plane, x, y), data))
        return lambda: np.asarray(jax.device_get([one(plane, *cell, data) for cell in cells[some]]))

    contestants = [
        Contestant("engine", engine),
        Contestant("one vmap", mapped),
        Contestant("loop over a jitted loss", loop, runs=some, share=share),
    ]
    if torch_installed():
        few, of_all = subset(len(cells), BATCHED)
        contestants += [
            Contestant("PyTorch loop", lambda: _torch_loop(plane, cells[some]), runs=some, share=share, external=True),
            Contestant(
                "PyTorch loop, batches from a DataLoader",
                lambda: _torch_loop(plane, cells[few], batch_size=BATCH),
                runs=few,
                share=of_all,
                external=True,
            ),
        ]
    before = matmul_peak()
    timings = compare(contestants, repeats, lambda text: tell(f"landscape: {text}"))
    peak = max(before, matmul_peak())
    note = f"Medians of {repeats}. Float32 matrix product on this machine at the same time: {peak:.0f} GFLOP/s."
    title = f"landscape: {points} x {points} cells of a {FEATURES}-{HIDDEN}-{CLASSES} network, {EXAMPLES:,} examples"
    rows = [_row(one, timings[0], len(cells), peak) for one in timings]
    return Measured(
        Table(title, HEADER, rows, (note,)),
        {
            "cells": len(cells),
            "flops": FLOPS * len(cells),
            "peak_gflops": peak,
            "contestants": [{**one._asdict(), "ratio": ratio(one, timings[0])} for one in timings],
        },
    )


def probe_cost(repeats: int, tell: Tell = lambda text: None) -> Measured:
    """Compare a full-batch run of the same network with and without `sharpness` every 20 steps."""
    task = mlp()
    data = jax.tree.map(jnp.asarray, task.data)
    problem = Problem(init=lambda key: tuple(map(jnp.asarray, task.start)), loss=task.loss, data=data)

    def seconds(probes: dict[str, Any]) -> float:
        """The time of the run without planning and compilation, which are small in longer runs."""
        swept = sweep(problem, gd(lr=0.1), {}, steps=PROBED_STEPS, every=INTERVAL, probes=probes)
        return float(swept.attrs["run_seconds"])

    ways: dict[str, dict[str, Any]] = {"without": {}, "with sharpness": {"sharpness": sharpness()}}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(repeats + 1):  # the first round, which includes compilation, is dropped
        tell(f"probe: round {round_} of {repeats}")
        for name, probes in ways.items():
            taken[name].append(seconds(probes))
    times = {name: np.asarray(all_[1:]) for name, all_ in taken.items()}
    ratios = {name: float(np.median(own / times["without"])) for name, own in times.items()}
    rows = [(name, "1", figures(float(np.median(own))), f"{ratios[name]:.2f}") for name, own in times.items()]
    title = f"probe: full-batch gradient descent, {PROBED_STEPS} steps, sharpness every {INTERVAL}"
    return Measured(
        Table(title, ("contestant", "runs", "seconds", "time / without"), rows, (f"Medians of {repeats}.",)),
        {"steps": PROBED_STEPS, "seconds": {n: own.tolist() for n, own in times.items()}, "ratios": ratios},
    )


def _row(one: Timing, engine: Timing, cells: int, peak: float) -> tuple[str, ...]:
    speed = FLOPS * cells / one.median / 1e9
    counted = f"{one.runs:,}" if one.share == 1 else f"{one.runs:,} of {cells:,}, scaled"
    if one.failure:
        return (one.name, one.failure, *["-"] * (len(HEADER) - 2))
    return (
        *(one.name, counted, figures(one.median), figures(one.first_seconds), figures(cells / one.median)),
        *(figures(speed), f"{100 * speed / peak:.1f} %", f"{ratio(one, engine):.2f}", f"{one.apart:.0e}"),
    )


def _torch_loop(plane: Plane, cells: np.ndarray, batch_size: int | None = None) -> Any:
    """Set the weights and evaluate the loss cell by cell, on all examples at once or on batches of a DataLoader."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    task = mlp()
    loss = task.torch_loss()
    data = tuple(torch.from_numpy(np.array(leaf)) for leaf in task.data or ())
    batches = [data] if batch_size is None else DataLoader(TensorDataset(*data), batch_size)
    centre, u, v = (tuple(torch.from_numpy(np.array(leaf)) for leaf in jax.tree.leaves(part)) for part in plane)

    def at_cell(y: float, x: float) -> float:
        params = tuple(c + float(x) * a + float(y) * b for c, a, b in zip(centre, u, v, strict=True))
        return sum(loss(params, tuple(batch)).item() * len(batch[0]) for batch in batches) / EXAMPLES

    def loop() -> np.ndarray:
        with torch.no_grad():
            return np.asarray([at_cell(*cell) for cell in cells])

    return loop
