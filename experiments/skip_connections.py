"""The loss around trained networks of several depths, with and without skips, on filter-normalised random planes.

After Li, Xu, Taylor, Studer & Goldstein (2018), Visualizing the Loss Landscape of Neural Nets
(https://arxiv.org/abs/1712.09913), where ResNets on CIFAR-10 with and without skips are compared. Here: perceptrons of
width 32 on images of digits, tanh, Adam with the best of a few rates, since a training of seconds on two cores shows
the same thing. Differs from the paper besides: full-batch loss at each cell; the same two random numbers for each
weight whether or not there are skips, so that the planes differ by the weights alone.

    python experiments/skip_connections.py results/skip-connections.png

About two minutes on two cores.
"""

import os
import sys
from pathlib import Path

import jax
import numpy as np
import xarray

import gdlab
from gdlab.figures import save
from gdlab.figures.landscape_grid import landscape_grid
from gdlab.landscape import random_plane
from gdlab.surfaces import surface

DEPTHS = (2, 12, 24)
RATES = (3e-4, 1e-3, 3e-3)
STEPS, BATCH, POINTS, REACH = 600, 128, 31, 1.0


def trained(problem: gdlab.Problem) -> tuple[gdlab.types.Params, float]:
    """The params with the least final loss among the rates, and that loss; the seed is the same for all."""

    def run(lr: jax.Array) -> tuple[gdlab.types.Params, jax.Array]:
        trace = gdlab.descend(
            problem, gdlab.rules.adam(lr=lr), jax.random.key(0), steps=STEPS, batch_size=BATCH, every=None
        )
        return trace.params, trace.outcome.final_loss

    params, losses = jax.jit(lambda rates: jax.lax.map(run, rates))(np.float32(RATES))
    best = int(np.nanargmin(losses))
    return jax.tree.map(lambda leaf: leaf[best], params), float(losses[best])


def main(path: Path) -> None:
    """Train, evaluate and draw."""
    rows = []
    values = np.linspace(-REACH, REACH, POINTS)
    for skip in (False, True):
        for depth in DEPTHS:
            problem = gdlab.problems.mlp("digits", (32,) * depth, activation="tanh", init="glorot", skip=skip)
            params, loss = trained(problem)
            print(f"{depth} hidden layers, {'with' if skip else 'without'} skips: final loss {loss:.3g}", flush=True)
            plane = random_plane(jax.random.key(1), params)
            made = surface(lambda x, p=problem: p.loss(x, p.data), plane, values, values)
            rows.append(made.expand_dims(skips=["with" if skip else "without"], depth=[depth]))
    data = xarray.combine_by_coords(rows, combine_attrs="drop")
    data = data.sel(skips=["without", "with"]).transpose("skips", "depth", ...)
    data.attrs = {"name": "skip connections", "problem": "mlp on digits", "loss_label": "loss"}
    for written in save(landscape_grid(data, share=True), path.with_suffix(""), formats=(path.suffix[1:],)):
        print(written)


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "results/skip-connections.png"))
