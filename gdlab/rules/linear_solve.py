"""Linear systems A x = b over pytrees, A symmetric and known by its products."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gdlab.pytrees import dot, precision
from gdlab.rules.leafwise import each
from gdlab.types import Array, PyTree

LONGEST = 32


def conjugate_gradients(product: Callable[[PyTree], PyTree], b: PyTree, steps: int | None = None) -> PyTree:
    """The solution by conjugate gradients from 0 (Hestenes & Stiefel, 1952).

    `steps` is the length of the program, a Python int; None: twice the number of unknowns (rounding spoils the last
    steps of exactly as many), 32 at most. A solution that is reached sooner stays as it is. So does x where a direction
    of no positive curvature is met, as in Dembo & Steihaug (1983); met at once, x is b. For a gradient b, -x is a
    direction of descent in any case.
    """
    length = min(2 * _size(b), LONGEST) if steps is None else steps
    target = dot(b, b) * jnp.finfo(precision(b)).eps ** 2

    def step(carry: tuple[PyTree, PyTree, PyTree, Array, Array], _: None) -> tuple[Any, None]:
        x, r, p, square, going = carry
        image = product(p)
        curvature = dot(p, image)
        going = going & (curvature > 0)
        length = jnp.where(going, square / jnp.where(going, curvature, 1), 0)
        x = each(lambda x, p, a: x + a * p, x, p, a=length)
        r = each(lambda r, q, a: r - a * q, r, image, a=length)
        after = dot(r, r)
        weight = jnp.where(going, after / jnp.where(going, square, 1), 0)
        p = each(lambda r, p, c: r + c * p, r, p, c=weight)
        return (x, r, p, after, going & (after > target)), None

    start = (jax.tree.map(jnp.zeros_like, b), b, b, dot(b, b), dot(b, b) > 0)
    (x, *_), _ = jax.lax.scan(step, start, None, length=length)
    moved = dot(x, x) > 0
    return jax.tree.map(lambda x, b: jnp.where(moved, x, b), x, b)


def direct(product: Callable[[PyTree], PyTree], b: PyTree) -> PyTree:
    """The solution by elimination, with the whole matrix: n products and n^2 numbers for n unknowns."""
    leaves, structure = jax.tree.flatten(b)
    dtype, size = precision(b), _size(b)
    if size == 0:
        return b

    def vector(tree: PyTree) -> Array:
        return jnp.concatenate([leaf.ravel().astype(dtype) for leaf in jax.tree.leaves(tree)])

    def tree(vector: Array) -> PyTree:
        ends = [sum(leaf.size for leaf in leaves[: i + 1]) for i in range(len(leaves))]
        parts = [vector[end - leaf.size : end] for leaf, end in zip(leaves, ends, strict=True)]
        shaped = [part.reshape(leaf.shape).astype(leaf.dtype) for part, leaf in zip(parts, leaves, strict=True)]
        return jax.tree.unflatten(structure, shaped)

    rows = jax.vmap(lambda unit: vector(product(tree(unit))))(jnp.eye(size, dtype=dtype))
    return tree(jnp.linalg.solve(rows.T, vector(b)))


def _size(tree: PyTree) -> int:
    return sum(math.prod(jnp.shape(leaf)) for leaf in jax.tree.leaves(tree))
