"""Linear systems A x = b over pytrees, with A symmetric and given by its matrix-vector products."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from gdlab.pytrees import dot, precision
from gdlab.rules.leafwise import each, narrow
from gdlab.types import Array, PyTree

MAX_STEPS = 32


def conjugate_gradients(product: Callable[[PyTree], PyTree], b: PyTree, steps: int | None = None) -> PyTree:
    """The solution by conjugate gradients, started at 0 (Hestenes & Stiefel, 1952).

    `steps` is the number of iterations, a Python int. None: twice the number of unknowns (to allow for rounding
    errors), but at most 32. x no longer changes once the solution is reached, or at a direction of non-positive
    curvature, as in Dembo & Steihaug (1983); if that is the first direction, x = b. For a gradient b, -x is always a
    descent direction.
    """
    length = min(2 * sum(math.prod(jnp.shape(leaf)) for leaf in jax.tree.leaves(b)), MAX_STEPS)
    target = dot(b, b) * jnp.finfo(precision(b)).eps ** 2

    def step(carry: tuple[PyTree, PyTree, PyTree, Array, Array], _: None) -> tuple[Any, None]:
        x, r, p, square, going = carry
        image = product(p)
        curvature = dot(p, image)
        going = going & (curvature > 0)
        a = jnp.where(going, square / jnp.where(going, curvature, 1), 0)
        x = each(lambda x, p, a: x + a * p, x, p, a=a)
        r = each(lambda r, q, a: r - a * q, r, image, a=a)
        new_square = dot(r, r)
        c = jnp.where(going, new_square / jnp.where(going, square, 1), 0)
        p = each(lambda r, p, c: r + c * p, r, p, c=c)
        return (x, r, p, new_square, going & (new_square > target)), None

    start = (jax.tree.map(jnp.zeros_like, b), b, b, dot(b, b), dot(b, b) > 0)
    (x, *_), _ = jax.lax.scan(step, start, None, length=length if steps is None else steps)
    moved = dot(x, x) > 0
    return jax.tree.map(lambda x, b: jnp.where(moved, x, b), x, b)


def direct(product: Callable[[PyTree], PyTree], b: PyTree) -> PyTree:
    """The solution by elimination, with the dense matrix: n products and n^2 numbers for n unknowns."""
    dtype = precision(b)

    def flatten(tree: PyTree) -> tuple[Array, Callable[[Array], PyTree]]:
        return ravel_pytree(jax.tree.map(lambda leaf: leaf.astype(dtype), tree))

    vector, unflatten = flatten(b)
    if vector.size == 0:
        return b

    def column(unit: Array) -> Array:
        return flatten(product(narrow(unflatten(unit), b)))[0]

    matrix = jax.vmap(column, out_axes=1)(jnp.eye(vector.size, dtype=dtype))
    return narrow(unflatten(jnp.linalg.solve(matrix, vector)), b)
