"""Leaves as matrices, and functions of symmetric matrices."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from gdlab.types import Array


def matrix(leaf: Array) -> Array:
    """The leaf as a matrix [first, all others]: a vector is one column, a number [1, 1]."""
    first, *others = leaf.shape or (1,)
    return leaf.reshape(first, math.prod(others))


def times(left: Array, *others: Array) -> Array:
    """The product of matrices from left to right, in the full precision of their dtype on any device."""
    return functools.reduce(functools.partial(jnp.matmul, precision="highest"), others, left)


def in_turn(function: Callable[..., Array], matrices: Sequence[Sequence[Array]]) -> list[Array]:
    """`function(*arrays)` of each, one after the other.

    XLA hands a batch of factorisations (of many runs, under vmap) to its threads in parts and waits for them; on a CPU
    two such waiting side by side can take all its threads and wait for ever (jaxlib 0.10). So each is made to
    depend on the one before it, by the addition of nothing.
    """
    done: list[Array] = []
    nothing = None
    for first, *others in matrices:
        if not first.size:
            done.append(first)
            continue
        waiting = first if nothing is None else first + nothing.astype(first.dtype)
        done.append(function(waiting, *others))
        nothing = 0 * done[-1][0, 0]  # not simplified away: it is NaN for NaN
    return done


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def inverse_root(order: int, symmetric: Array) -> Array:
    """A^(-1/order) of a symmetric matrix without negative eigenvalues; 0 for 1/0 along what A takes to 0."""
    vectors, roots = _roots(order, symmetric)
    return times(vectors * _inverse(roots)[None, :], vectors.T)


@inverse_root.defjvp
def _derivative(order: int, at: tuple[Array], along: tuple[Array]) -> tuple[Array, Array]:
    # Divided differences of the function between the eigenvalues, which exist where eigenvectors have no derivative:
    # (1/a - 1/b) / (a^p - b^p) = -1 / (a b (a^(p-1) + a^(p-2) b + ... + b^(p-1))).
    vectors, roots = _roots(order, *at)
    a, b = jnp.broadcast_arrays(roots[:, None], roots[None, :])
    slopes = -_inverse(a) * _inverse(b) * _inverse(sum(a**k * b ** (order - 1 - k) for k in range(order)))
    value = times(vectors * _inverse(roots)[None, :], vectors.T)
    turned = times(vectors.T, along[0], vectors)
    return value, times(vectors, slopes * turned, vectors.T)


def _roots(order: int, symmetric: Array) -> tuple[Array, Array]:
    """The eigenvectors, and the eigenvalues' roots."""
    values, vectors = jnp.linalg.eigh(symmetric)
    return vectors, jnp.maximum(values, 0) ** (1 / order)


def _inverse(x: Any) -> Any:
    return jnp.where(x > 0, 1 / jnp.where(x > 0, x, 1), 0)
