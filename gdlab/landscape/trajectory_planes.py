"""Planes that show the paths of runs: one through them all, or one for each."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.curvature import hessian_product, top
from gdlab.landscape.directions import Normalise, between, gradient_direction
from gdlab.landscape.pca import pca_plane
from gdlab.landscape.planes import Plane, coordinate_plane
from gdlab.landscape.random_directions import random_plane
from gdlab.landscape.spanned import eigen_plane, plane_of
from gdlab.landscape.trajectories import Paths
from gdlab.types import Array, Params

PlaneKind = Literal["auto", "exact", "pca", "random", "hessian", "gradient"]

AXES: dict[str, tuple[str, str]] = {
    "exact": ("x", "y"),
    "pca": ("first direction", "second direction"),
    "random": ("random direction 1", "random direction 2"),
    "hessian": ("eigenvector of the largest curvature", "of the second largest"),
    "gradient": ("along the gradient", "along the last steps"),
}


class Found(NamedTuple):
    """A plane, and the share of the paths' variance in it: about their mean, and about the origin of the offsets."""

    plane: Plane
    captured: float | None = None


def shared_plane(
    kind: str, loss: Callable[[Params], Array], paths: Paths, normalise: Normalise = "filter", seed: int = 0
) -> Found:
    """One plane for all paths.

    Args:
        kind: "exact": the two parameters themselves. "pca": through the mean of all paths, along the two directions of
            their greatest variance. Through the last finite point of the first path: "random", along two random
            directions scaled as `normalise` says; "hessian", along the eigenvectors of the two largest eigenvalues of
            the Hessian; "gradient", along the gradient and along the last displacement, made orthogonal to it.
        loss: `loss(params) -> scalar`.
        paths: each with a finite point.
        normalise, seed: of random directions.
    """
    if kind == "exact":
        return Found(coordinate_plane())
    finite = paths.finite
    if kind == "pca":
        plane, captured = jax.jit(lambda path: pca_plane(jax.vmap(paths.unravel)(path)))(np.concatenate(finite))
        return Found(plane, float(captured))
    first = finite[0]
    centre = paths.unravel(jnp.asarray(first[-1]))
    if kind == "random":
        return Found(random_plane(jax.random.key(seed), centre, normalise))
    if kind == "hessian":
        found = jax.jit(lambda x: top(hessian_product(loss, x), x, 2, jax.random.key(seed)))(centre)
        return Found(eigen_plane(centre, found.vectors))
    before = paths.unravel(jnp.asarray(first[max(0, len(first) - 2)]))
    gradient = jax.jit(lambda x: gradient_direction(loss, x))(centre)
    return Found(plane_of(centre, gradient, between(before, centre), orthogonalise=True))


def own_planes(paths: Paths, margin: float = 0.15) -> Plane:
    """For each path the plane of its own two directions of greatest variance, all leaves [runs, d].

    Each is centred on the middle of its path's extent, and its directions are so long that the path reaches from
    -1 / (1 + 2 margin) to 1 / (1 + 2 margin) along each; where it does not move along one, that has the length 1.
    """

    def one(args: tuple[Array, Array]) -> Plane:
        path, there = args
        present = there[:, None]
        mean = jnp.where(present, path, 0).sum(axis=0) / jnp.maximum(there.sum(), 1).astype(path.dtype)
        # A point at the mean moves nothing.
        still = jnp.where(present, path, mean[None])
        plane, _ = pca_plane(still, mean)
        directions = jnp.stack([plane.u, plane.v])
        places = jnp.einsum("pd,kd->pk", still - mean[None], directions)
        low, high = places.min(axis=0), places.max(axis=0)
        half = (high - low) / 2
        reach = jnp.where(half > 0, half * (1 + 2 * margin), 1)
        centre = mean + ((high + low) / 2) @ directions
        return Plane(centre, *(directions * reach[:, None]))

    there = np.isfinite(paths.positions).all(axis=2)
    positions = jnp.asarray(np.where(there[:, :, None], paths.positions, 0))
    return jax.jit(lambda *args: jax.lax.map(one, args))(positions, there)
