"""The window of a plane at whose edges the loss reaches a given level."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from gdlab.engine.evaluate import evaluate
from gdlab.landscape.planes import Plane, at
from gdlab.landscape.surface_grids import Measure, named
from gdlab.types import Array

# The four rays from the centre to the edges.
RAYS = {"u": (1.0, 0.0), "-u": (-1.0, 0.0), "v": (0.0, 1.0), "-v": (0.0, -1.0)}
# The number of refinements, and the number of parts into which each divides the interval.
ROUNDS, PARTS = 2, 32


def fitted_range(
    fn: Measure,
    plane: Plane,
    *,
    multiple: float = 10.0,
    level: float | None = None,
    first: float = 1.0,
    octaves: int = 20,
    **options: Any,
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The window ((x0, x1), (y0, y1)) with edges where the loss is a multiple of the loss at the centre.

    Along each of u, -u, v and -v from the centre, the edge is at the first distance where the loss is at least
    `multiple * loss(centre)` or not finite. It is searched among `first * 2^k`, -octaves <= k <= octaves, then within
    the octave with relative accuracy 1e-3; a ridge narrower than an octave may be missed. The four distances are
    independent, so the window need not be centred.

    Args:
        fn: `fn(params) -> scalar`, or a dict with `loss`.
        plane: the plane.
        multiple: the loss at the edges divided by the loss at the centre.
        level: the loss at the edges, in place of `multiple`; needed if the loss at the centre is not above 0.
        first, octaves: the distances that are tried.
        options: see `gdlab.evaluate`.

    Raises:
        ValueError: the loss at the centre is not finite or not below the level; or a ray does not reach the level.
    """
    signs = jnp.asarray(list(RAYS.values()))

    def cell(ray: Array, radius: Array) -> Array:
        x, y = signs[ray]
        return named(fn(at(plane, x * radius, y * radius)))["loss"]

    distances = np.array([0.0, *(first * 2.0 ** np.arange(-octaves, octaves + 1))])
    losses = evaluate(cell, {"ray": np.arange(4), "radius": distances}, **options)["value"].values
    centre = float(losses[0, 0])
    wanted = multiple * centre if level is None else level
    if not centre < wanted < np.inf:
        raise ValueError(
            f"the loss at the centre is {centre:.6g}, which is not below the {wanted:.6g} wanted at the edges: "
            "pass another `level`"
        )
    radii = np.broadcast_to(distances, losses.shape)
    for _ in range(ROUNDS):
        low, high = _bracket(radii, losses, wanted)
        radii = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, PARTS + 1)
        rows = [(ray, radius) for ray, some in enumerate(radii) for radius in some]
        losses = evaluate(cell, {("ray", "radius"): rows}, **options)["value"].values.reshape(radii.shape)
    right, left, up, down = (float(end) for end in _bracket(radii, losses, wanted)[1])
    return (-left, right), (-down, up)


def _bracket(radii: np.ndarray, losses: np.ndarray, wanted: float) -> tuple[np.ndarray, np.ndarray]:
    """For each ray, the radius before the first that reaches the level (or is not finite), and that radius."""
    reached = np.logical_not(losses < wanted)
    for ray, along in zip(RAYS, reached, strict=True):
        if not along.any():
            raise ValueError(
                f"along {ray} the loss never reaches {wanted:.6g}, out to a distance of {radii.max():.6g}: "
                "lower `multiple` or `level`, raise `first`, or set the range directly"
            )
    place = reached.argmax(axis=1)
    rays = np.arange(len(radii))
    return radii[rays, np.maximum(place - 1, 0)], radii[rays, place]
