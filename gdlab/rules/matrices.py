"""Leaves as matrices, and functions of symmetric matrices."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from gdlab.types import Array


def unfold(leaf: Array) -> Array:
    """The leaf as a matrix [product of the other axes, last axis]; a vector is one column, a scalar is [1, 1].

    flax's kernels have the output features last: a dense kernel [in, out] is unchanged, and a convolution kernel
    [kh, kw, in, out] becomes [kh kw in, out], the matrix that multiplies an image patch.
    """
    if leaf.ndim < 2:
        return leaf.reshape(leaf.size, 1)
    return leaf.reshape(math.prod(leaf.shape[:-1]), leaf.shape[-1])


def matmul(left: Array, *others: Array) -> Array:
    """The product of matrices from left to right, in the full precision of their dtype on any device."""
    return functools.reduce(functools.partial(jnp.matmul, precision="highest"), others, left)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def inverse_root(order: int, symmetric: Array) -> Array:
    """A^(-1/order) of a positive semidefinite matrix; as in a pseudo-inverse, eigenvalues of 0 stay 0."""
    vectors, roots = _eigen_roots(order, symmetric)
    return matmul(vectors * _inverse(roots)[None, :], vectors.T)


@inverse_root.defjvp
def _inverse_root_jvp(order: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    # The derivative uses divided differences of x^(-1/p) between the eigenvalues a^p and b^p. They exist for equal
    # eigenvalues, where the eigenvectors have no derivative:
    # (1/a - 1/b) / (a^p - b^p) = -1 / (a b (a^(p-1) + a^(p-2) b + ... + b^(p-1))).
    vectors, roots = _eigen_roots(order, *primals)
    a, b = jnp.broadcast_arrays(roots[:, None], roots[None, :])
    slopes = -_inverse(a) * _inverse(b) * _inverse(sum(a**k * b ** (order - 1 - k) for k in range(order)))
    value = matmul(vectors * _inverse(roots)[None, :], vectors.T)
    rotated = matmul(vectors.T, tangents[0], vectors)
    return value, matmul(vectors, slopes * rotated, vectors.T)


@jax.custom_batching.sequential_vmap
def orthonormal(matrix: Array) -> Array:
    """The Q factor of the QR decomposition, one matrix at a time under vmap (see `_eigh`)."""
    return jnp.linalg.qr(matrix)[0]


@jax.custom_batching.sequential_vmap
def _eigh(symmetric: Array) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors, one matrix at a time under vmap.

    On a CPU, XLA distributes a batch of factorisations over its thread pool and waits for them. Two devices that wait
    at the same time occupy all threads and deadlock (jaxlib 0.10). A single matrix is not distributed.
    """
    values, vectors = jnp.linalg.eigh(symmetric)
    return values, vectors


def _eigen_roots(order: int, symmetric: Array) -> tuple[Array, Array]:
    """The eigenvectors, and the order-th roots of the eigenvalues."""
    values, vectors = _eigh(symmetric)
    return vectors, jnp.maximum(values, 0) ** (1 / order)


def _inverse(x: Any) -> Any:
    """1 / x; 0 where x <= 0."""
    return jnp.where(x > 0, 1 / jnp.where(x > 0, x, 1), 0)
