"""A line, a plane or any flat through parameter space: the point at given coordinates, the coordinates of a point."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gdlab.pytrees import dot, norm
from gdlab.types import Array, Params, PyTree


class Flat(NamedTuple):
    """The points `centre + sum_i a_i d_i`. The directions need be neither of unit length nor orthogonal.

    Attributes:
        centre: a pytree like the params.
        directions: n pytrees like the params: one for a line, two for a plane (see `gdlab.landscape.Plane`).
    """

    centre: Params
    directions: tuple[PyTree, ...]


def point(flat: Flat, coordinates: Array | Sequence[Array | float]) -> Params:
    """The params at n coordinates, `centre + a_1 d_1 + ... + a_n d_n`, in the dtype of each leaf of the centre.

    Raises:
        ValueError: another number of coordinates than of directions.
    """
    if len(coordinates) != len(flat.directions):
        raise ValueError(f"a flat of {len(flat.directions)} directions has no point at {len(coordinates)} coordinates")

    def moved(x: Array, *directions: Array) -> Array:
        dtype = x.dtype
        for a, d in zip(coordinates, directions, strict=True):
            x = x + jnp.asarray(a, dtype) * d.astype(dtype)
        return x

    return jax.tree.map(moved, flat.centre, *flat.directions)


def nearest(flat: Flat, params: Params) -> tuple[Array, Array]:
    """The coordinates of the flat's point nearest to `params`, and the Euclidean distance to it.

    With d = params - centre and e_i = d_i / |d_i|, they are a_i = b_i / |d_i|, where b = G^+ (e_i'd)_i solves the
    normal equations of least squares, G = (e_i'e_j) and G^+ its pseudo-inverse. Where directions depend on each other,
    the flat has fewer dimensions than directions, and b is the shortest solution; a direction that is zero has
    coordinate 0.

    Returns:
        (a, off): a [n] and a scalar, off = |d - sum_i a_i d_i|.
    """
    d = jax.tree.map(jnp.subtract, params, flat.centre)
    inverse = [reciprocal(norm(direction)) for direction in flat.directions]
    gram = jnp.stack(
        [
            jnp.stack([dot(x, y) * p * q for y, q in zip(flat.directions, inverse, strict=True)])
            for x, p in zip(flat.directions, inverse, strict=True)
        ]
    )
    along = jnp.stack([dot(x, d) * p for x, p in zip(flat.directions, inverse, strict=True)])
    tiny = 16 * float(jnp.finfo(gram.dtype).eps)
    a = jnp.linalg.pinv(gram, rtol=tiny, hermitian=True) @ along * jnp.stack(inverse)
    return a, norm(jax.tree.map(jnp.subtract, params, point(flat, a)))


def reciprocal(x: Array, tiny: float = 0.0) -> Array:
    """1 / x, or 0 where x is not above `tiny`, with a gradient that is finite at both; NaN comes through."""
    above = x > tiny
    return jnp.where(above, 1 / jnp.where(above, x, 1), jnp.where(jnp.isnan(x), x, 0))
