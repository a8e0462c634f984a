"""Affine subspaces (flats) of parameter space: points from coordinates, and coordinates of the nearest point."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gdlab.pytrees import dot, norm
from gdlab.types import Array, Params, PyTree


class Flat(NamedTuple):
    """The affine subspace of points `centre + sum_i a_i d_i`. Directions of any length and angle are allowed.

    Attributes:
        centre: a pytree like the params.
        directions: n pytrees like the params: one for a line, two for a plane (see `gdlab.landscape.Plane`).
    """

    centre: Params
    directions: tuple[PyTree, ...]


def point(flat: Flat, coordinates: Array | Sequence[Array | float]) -> Params:
    """The params at n coordinates, `centre + a_1 d_1 + ... + a_n d_n`, in the dtype of each leaf of the centre.

    Raises:
        ValueError: the number of coordinates differs from the number of directions.
    """
    if len(coordinates) != len(flat.directions):
        raise ValueError(
            f"a flat with {len(flat.directions)} directions needs as many coordinates, not {len(coordinates)}"
        )

    def moved(x: Array, *directions: Array) -> Array:
        dtype = x.dtype
        for a, d in zip(coordinates, directions, strict=True):
            x = x + jnp.asarray(a, dtype) * d.astype(dtype)
        return x

    return jax.tree.map(moved, flat.centre, *flat.directions)


def nearest(flat: Flat, params: Params) -> tuple[Array, Array]:
    """The coordinates of the point of the flat nearest to `params`, and the Euclidean distance to it.

    With d = params - centre and e_i = d_i / |d_i|, a_i = b_i / |d_i|, where b = G^+ (e_i'd)_i solves the normal
    equations of least squares, G = (e_i'e_j) and G^+ its pseudo-inverse. For linearly dependent directions, b is the
    solution of minimum norm. The coordinate of a zero direction is 0.

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
    """1 / x, or 0 where x is not above `tiny`, with a finite gradient in both cases; propagates NaN."""
    above = x > tiny
    return jnp.where(above, 1 / jnp.where(above, x, 1), jnp.where(jnp.isnan(x), x, 0))
