"""Planes in parameter space."""

from typing import NamedTuple

import jax.numpy as jnp

from gdlab.landscape.flats import Flat, nearest, point, reciprocal
from gdlab.pytrees import dot, norm
from gdlab.types import Array, Params, PyTree


class Plane(NamedTuple):
    """The points `centre + a u + b v`. Directions `u` and `v` of any length and angle are allowed.

    Attributes:
        centre: a pytree like the params.
        u: the first direction, a pytree like the params.
        v: the second direction, a pytree like the params.
    """

    centre: Params
    u: PyTree
    v: PyTree

    @property
    def flat(self) -> Flat:
        """The plane as a `Flat` with two directions."""
        return Flat(self.centre, (self.u, self.v))


def coordinate_plane() -> Plane:
    """The plane of params of shape (2,): its coordinates are the parameters."""
    return Plane(jnp.zeros(2), jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]))


def at(plane: Plane, a: Array | float, b: Array | float) -> Params:
    """The params at the scalar coordinates (a, b): `centre + a u + b v`, in the dtype of each leaf of the centre."""
    return point(plane.flat, (a, b))


def project(plane: Plane, params: Params) -> tuple[Array, Array, Array]:
    """The coordinates of the point of the plane nearest to `params`, and the Euclidean distance to it.

    With d = params - centre, (a, b) is the least-squares solution of d = a u + b v (see `nearest`). If u and v are
    parallel, it is the solution with a |u| = b |v| (up to the sign of u'v). The coordinate of a zero direction is 0.

    Returns:
        (a, b, off): scalars; off = |d - a u - b v|.
    """
    coordinates, off = nearest(plane.flat, params)
    return coordinates[0], coordinates[1], off


def cosine(plane: Plane) -> Array:
    """The cosine of the angle between `u` and `v`; 0 if one of them is zero."""
    return dot(plane.u, plane.v) * reciprocal(norm(plane.u)) * reciprocal(norm(plane.v))


def report(plane: Plane) -> dict[str, Array]:
    """`norm_u`, `norm_v` (Euclidean, over all leaves) and `cosine` of a plane, scalars."""
    return {"norm_u": norm(plane.u), "norm_v": norm(plane.v), "cosine": cosine(plane)}
