"""Planes for the paths of runs: one shared plane or one per run."""

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
    """A plane, and the share of the variance of the paths in it (PCA only)."""

    plane: Plane
    captured: float | None = None


def shared_plane(
    kind: str, loss: Callable[[Params], Array], paths: Paths, normalise: Normalise = "filter", seed: int = 0
) -> Found:
    """One plane for all paths.

    Args:
        kind: "exact": the two parameters. "pca": through the mean of all paths, along their first two principal
            components. Through the last finite point of the first path: "random", along two random directions scaled
            according to `normalise`; "hessian", along the eigenvectors of the two largest eigenvalues of the Hessian;
            "gradient", along the gradient and the component of the last displacement orthogonal to it.
        loss: `loss(params) -> scalar`.
        paths: each with at least one finite point.
        normalise, seed: for random directions.
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
    """The PCA plane of each path, all leaves [runs, d].

    The centre is the middle of the extent of the path. The directions are scaled such that the path extends from
    -1 / (1 + 2 margin) to 1 / (1 + 2 margin) along each; a direction along which the path does not move has norm 1.
    """

    def one(args: tuple[Array, Array]) -> Plane:
        path, finite = args
        present = finite[:, None]
        mean = jnp.where(present, path, 0).sum(axis=0) / jnp.maximum(finite.sum(), 1).astype(path.dtype)
        # Missing points are replaced by the mean, which does not change the plane.
        filled = jnp.where(present, path, mean[None])
        plane, _ = pca_plane(filled, mean)
        directions = jnp.stack([plane.u, plane.v])
        places = jnp.einsum("pd,kd->pk", filled - mean[None], directions)
        low, high = places.min(axis=0), places.max(axis=0)
        half = (high - low) / 2
        reach = jnp.where(half > 0, half * (1 + 2 * margin), 1)
        centre = mean + ((high + low) / 2) @ directions
        return Plane(centre, *(directions * reach[:, None]))

    finite = np.isfinite(paths.positions).all(axis=2)
    positions = jnp.asarray(np.where(finite[:, :, None], paths.positions, 0))
    return jax.jit(lambda *args: jax.lax.map(one, args))(positions, finite)
