"""Surfaces on many lines or planes in one program: one per run or one per random draw."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from gdlab.engine.evaluate import evaluate
from gdlab.landscape.directions import Normalise
from gdlab.landscape.flats import Flat, point
from gdlab.landscape.planes import Plane, at
from gdlab.landscape.random_directions import random_direction, random_plane
from gdlab.landscape.surface_grids import Measure, Values, named
from gdlab.types import Array, Params

if TYPE_CHECKING:
    import xarray


def surfaces(
    fn: Measure, planes: Plane, x: Values, y: Values, *, runs: Sequence[Any] | None = None, **options: Any
) -> "xarray.Dataset":
    """`fn` on one plane per run, over the dims (run, y, x).

    Args:
        fn: see `gdlab.landscape.block`.
        planes: a Plane whose leaves have a leading axis of runs, for example from `jax.vmap` of a function that returns
            a plane, or `jax.tree.map(lambda *leaves: jnp.stack(leaves), *list_of_planes)`.
        x, y: the coordinates, the same on each plane.
        runs: the labels of the runs; by default 0, 1, ...
        options: see `gdlab.evaluate`.

    Raises:
        ValueError: the leading axes of the leaves differ, or the number of labels does.
    """
    sizes = {np.shape(leaf)[0] if np.ndim(leaf) else None for leaf in jax.tree.leaves(planes)}
    if len(sizes) != 1 or None in sizes:
        raise ValueError(f"the leaves of stacked planes need one leading axis of runs, but its lengths are {sizes}")
    count = int(sizes.pop())  # type: ignore[arg-type]  # None was refused
    if runs is not None and len(runs) != count:
        raise ValueError(f"runs must hold one label per plane: {len(runs)} labels for {count} planes")

    def cell(run: Array, y: Array, x: Array) -> dict[str, Array]:
        return named(fn(at(jax.tree.map(lambda leaf: leaf[run], planes), x, y)))

    data = evaluate(cell, {"run": np.arange(count), "y": y, "x": x}, outer=("run",), **options)
    return data if runs is None else data.assign_coords(run=("run", np.asarray(runs)))


def random_planes(
    fn: Measure,
    params: Params,
    keys: Array,
    x: Values,
    y: Values,
    normalise: Normalise = "filter",
    *,
    biases: bool = False,
    orthogonalise: bool = False,
    **options: Any,
) -> "xarray.Dataset":
    """`fn` on K random planes through one point, over the dims (plane, y, x), for a median and bands over planes.

    Plane k is `random_plane(keys[k], params, ...)`. It is drawn inside the program, once per chunk of cells, so the
    memory does not grow with K. If the loss is cheap, as on few examples, a larger `chunk` saves time, since it needs
    fewer draws.

    Args:
        fn: see `gdlab.landscape.block`.
        params: the centre.
        keys: an array [K] of keys, as from `jax.random.split`.
        x, y: the coordinates.
        normalise, biases, orthogonalise: see `gdlab.landscape.random_plane`.
        options: see `gdlab.evaluate`.
    """

    def cell(plane: Array, y: Array, x: Array) -> dict[str, Array]:
        drawn = random_plane(keys[plane], params, normalise, biases=biases, orthogonalise=orthogonalise)
        return named(fn(at(drawn, x, y)))

    return evaluate(cell, {"plane": np.arange(len(keys)), "y": y, "x": x}, outer=("plane",), **options)


def random_lines(
    fn: Measure,
    params: Params,
    keys: Array,
    alphas: Values,
    normalise: Normalise = "filter",
    *,
    biases: bool = False,
    **options: Any,
) -> "xarray.Dataset":
    """`fn` on K random lines through one point, over the dims (plane, alpha); otherwise as `random_planes`.

    Line k is along `random_direction(keys[k], params, ...)`. The dim of the lines is named `plane`.
    """

    def cell(plane: Array, alpha: Array) -> dict[str, Array]:
        direction = random_direction(keys[plane], params, normalise, biases=biases)
        return named(fn(point(Flat(params, (direction,)), [alpha])))

    return evaluate(cell, {"plane": np.arange(len(keys)), "alpha": alphas}, outer=("plane",), **options)
