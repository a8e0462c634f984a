"""A plane through parameter space: the point at given coordinates, and the coordinates of a given point."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from gdlab.inner_product import dot, norm
from gdlab.types import Array, Params, PyTree


class Plane(NamedTuple):
    """The points `centre + a u + b v`. `u` and `v` need be neither of unit length nor orthogonal.

    Attributes:
        centre: a pytree like the params.
        u: the first direction, a pytree like the params.
        v: the second direction, likewise.
    """

    centre: Params
    u: PyTree
    v: PyTree


def coordinate_plane() -> Plane:
    """The plane of a problem with two parameters, an array of shape (2,): its coordinates are the parameters."""
    return Plane(jnp.zeros(2), jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]))


def at(plane: Plane, a: Array | float, b: Array | float) -> Params:
    """The params at the scalar coordinates (a, b): `centre + a u + b v`, in the dtype of each leaf of the centre."""

    def point(centre: Array, u: Array, v: Array) -> Array:
        dtype = centre.dtype
        return centre + jnp.asarray(a, dtype) * u.astype(dtype) + jnp.asarray(b, dtype) * v.astype(dtype)

    return jax.tree.map(point, plane.centre, plane.u, plane.v)


def project(plane: Plane, params: Params) -> tuple[Array, Array, Array]:
    """The coordinates of the plane's point nearest to `params`, and the Euclidean distance to it.

    With d = params - centre, (a, b) is the least-squares solution of d ~ a u + b v, from its normal equations
    G (a, b)' = (u'd, v'd)', G the Gram matrix of (u, v). Where u and v are parallel the plane is a line and (a, b) the
    solution that moves equally along both in units of their lengths; a direction that is zero has coordinate 0.

    Returns:
        (a, b, off): scalars; off = |d - a u - b v|.
    """
    d = jax.tree.map(jnp.subtract, params, plane.centre)
    length_u, length_v = norm(plane.u), norm(plane.v)
    inverse_u, inverse_v = _inverse(length_u), _inverse(length_v)
    # In unit directions G is [[1, c], [c, 1]]: eigenvalues 1 + c and 1 - c, with the sum and the difference of the two.
    c = dot(plane.u, plane.v) * inverse_u * inverse_v
    p, q = dot(plane.u, d) * inverse_u, dot(plane.v, d) * inverse_v
    tiny = 16 * float(jnp.finfo(c.dtype).eps)
    along = (p + q) / 2 * _inverse(1 + c, tiny)
    across = (p - q) / 2 * _inverse(1 - c, tiny)
    a, b = (along + across) * inverse_u, (along - across) * inverse_v
    return a, b, norm(jax.tree.map(jnp.subtract, params, at(plane, a, b)))


def cosine(plane: Plane) -> Array:
    """The cosine of the angle between `u` and `v`; 0 where one of them is zero."""
    return dot(plane.u, plane.v) * _inverse(norm(plane.u)) * _inverse(norm(plane.v))


def _inverse(x: Array, tiny: float = 0.0) -> Array:
    """1 / x, or 0 where x is not above `tiny`, with a gradient that is finite at both."""
    above = x > tiny
    return jnp.where(above, 1 / jnp.where(above, x, 1), 0)
