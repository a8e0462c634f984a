"""Planes spanned by two directions, three points or eigenvectors."""

import jax
import jax.numpy as jnp

from gdlab.landscape.directions import Normalise, between, normalised, unit, without_biases
from gdlab.landscape.flats import reciprocal
from gdlab.landscape.planes import Plane
from gdlab.pytrees import dot, norm, precision
from gdlab.types import Array, Params, PyTree


def plane_of(
    centre: Params,
    u: PyTree,
    v: PyTree,
    *,
    orthogonalise: bool = False,
    normalise: Normalise = "none",
    biases: bool = False,
) -> Plane:
    """The plane through `centre` along two directions.

    `orthogonalise` subtracts from v its projection on u, before both are scaled according to `normalise` (see
    `normalised`). Scaling by parts changes the angle, so the cosine is then small but not zero. If v is parallel to u,
    the result has v = 0.

    Raises:
        ValueError: see `normalised`.
    """
    if orthogonalise:
        if normalise != "none":  # without the biases, which `normalised` sets to zero
            u, v = without_biases(u, centre, biases), without_biases(v, centre, biases)
        v = _across(unit(u), v)
    return Plane(centre, *(normalised(d, centre, normalise, biases=biases) for d in (u, v)))


def triangle_plane(a: Params, b: Params, c: Params) -> tuple[Plane, Array]:
    """The plane through three points, and their coordinates in it.

    u = (b - a) / |b - a|, v = w / |w| with w the component of c - a orthogonal to u. They are orthonormal, so distances
    in the plane equal distances in parameter space. If the points lie on a line, v is zero (and u, if a = b).

    Returns:
        (plane, corners): the centre is a; corners [3, 2] are the coordinates of a, b and c:
        (0, 0), (|b - a|, 0), (u'(c - a), |w|).

    Source: Garipov, Izmailov, Podoprikhin, Vetrov, Wilson (2018), figure 1. https://arxiv.org/abs/1802.10026
    """
    side, other = between(a, b), between(a, c)
    u = unit(side)
    rest = _across(u, other)
    v = unit(rest)
    zero = jnp.zeros((), precision((a, b, c)))
    corners = [[zero, zero], [norm(side), zero], [dot(u, other), norm(rest)]]
    return Plane(a, u, v), jnp.stack([jnp.stack(corner) for corner in corners])


def eigen_plane(centre: Params, vectors: PyTree, which: tuple[int, int] = (0, 1)) -> Plane:
    """The plane through `centre` along two of several eigenvectors.

    Args:
        centre: the params at which the eigenvectors were computed.
        vectors: a pytree like the params whose leaves have a leading axis of eigenvectors.
        which: the indices of the two along that axis.

    Raises:
        ValueError: an index out of range.
    """
    count = min(leaf.shape[0] for leaf in jax.tree.leaves(vectors))
    if not all(-count <= i < count for i in which):
        raise ValueError(f"there are {count} eigenvectors, so which={which} is out of range")
    first, second = (jax.tree.map(lambda leaf, i=i: leaf[i], vectors) for i in which)
    return Plane(centre, first, second)


def _across(u: PyTree, v: PyTree) -> PyTree:
    """The component of v orthogonal to u, a unit vector or zero; zero if it is only rounding error."""

    def less(v: PyTree) -> PyTree:
        share = dot(u, v)
        return jax.tree.map(lambda y, x: (y.astype(share.dtype) - share * x.astype(share.dtype)).astype(y.dtype), v, u)

    rest = less(less(v))  # twice, to remove the rounding error of the first subtraction
    kept = norm(rest) * reciprocal(norm(v)) > 16 * max(float(jnp.finfo(x.dtype).eps) for x in jax.tree.leaves(v))
    return jax.tree.map(lambda x: jnp.where(kept | jnp.isnan(x), x, 0), rest)
