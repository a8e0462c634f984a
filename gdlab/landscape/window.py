"""How far a picture of a loss should reach."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from gdlab.engine.evaluate import evaluate
from gdlab.landscape.planes import Plane, at
from gdlab.landscape.surface_grids import Measure, named
from gdlab.types import Array

# u+, u-, v+, v-: the four ways from the centre to the edges.
RAYS = {"u": (1.0, 0.0), "-u": (-1.0, 0.0), "v": (0.0, 1.0), "-v": (0.0, -1.0)}
# Rounds of refinement, and the parts into which each cuts what is left.
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
    """The window ((x0, x1), (y0, y1)) at the middle of whose edges the loss is a multiple of that at the centre.

    Along each of u, -u, v and -v from the centre, the distance at which the loss first is at least
    `multiple * loss(centre)`, or not finite: found among `first * 2^k`, -octaves <= k <= octaves, then within the
    octave to a part in a thousand (so a higher ridge narrower than an octave may be stepped over). The four are found
    each by itself: the window need not be centred.

    Args:
        fn: a scalar of the params, or a dict with `loss`.
        plane: where.
        multiple: of the loss at the centre.
        level: the loss at the edges itself, where no multiple will do, as when the loss at the centre is not above 0.
        first, octaves: which distances are tried.
        options: of `gdlab.evaluate`.

    Raises:
        ValueError: the loss at the centre is not finite, or not below the level; or a way does not reach the level.
    """
    signs = jnp.asarray(list(RAYS.values()))

    def cell(ray: Array, radius: Array) -> Array:
        x, y = signs[ray]
        return named(fn(at(plane, x * radius, y * radius)))["loss"]

    ladder = np.array([0.0, *(first * 2.0 ** np.arange(-octaves, octaves + 1))])
    losses = evaluate(cell, {"ray": np.arange(4), "radius": ladder}, **options)["value"].values
    centre = float(losses[0, 0])
    wanted = multiple * centre if level is None else level
    if not centre < wanted < np.inf:
        raise ValueError(
            f"the loss at the centre is {centre:.6g}, which is not below the {wanted:.6g} wanted at the edges: "
            "give another `level`"
        )
    radii = np.broadcast_to(ladder, losses.shape)
    for _ in range(ROUNDS):
        low, high = _bracket(radii, losses, wanted)
        radii = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, PARTS + 1)
        rows = [(ray, radius) for ray, some in enumerate(radii) for radius in some]
        losses = evaluate(cell, {("ray", "radius"): rows}, **options)["value"].values.reshape(radii.shape)
    right, left, up, down = (float(end) for end in _bracket(radii, losses, wanted)[1])
    return (-left, right), (-down, up)


def _bracket(radii: np.ndarray, losses: np.ndarray, wanted: float) -> tuple[np.ndarray, np.ndarray]:
    """For each ray the first radius at which the loss is as wanted, or not finite, and the one before it."""
    reached = np.logical_not(losses < wanted)
    for way, on_it in zip(RAYS, reached, strict=True):
        if not on_it.any():
            raise ValueError(
                f"along {way} the loss never reaches {wanted:.6g}, out to a distance of {radii.max():.6g}: "
                "ask for less, raise `first`, or give the range yourself"
            )
    place = reached.argmax(axis=1)
    rays = np.arange(len(radii))
    return radii[rays, np.maximum(place - 1, 0)], radii[rays, place]
