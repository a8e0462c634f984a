"""Factorisations of small matrices that run one at a time under vmap.

On a CPU, XLA distributes a batch of factorisations over its thread pool and waits for them. Two devices that wait at
the same time can occupy all threads and deadlock (jaxlib 0.10). A single matrix is not distributed.
"""

import jax
import jax.numpy as jnp

from gdlab.types import Array


@jax.custom_batching.sequential_vmap
def eigh(symmetric: Array) -> tuple[Array, Array]:
    """Eigenvalues [n], ascending, and eigenvectors [n, n], as columns, of a symmetric matrix."""
    values, vectors = jnp.linalg.eigh(symmetric)
    return values, vectors


@jax.custom_batching.sequential_vmap
def orthonormal(matrix: Array) -> Array:
    """Orthonormal columns [n, m] whose span contains the columns of a matrix [n, m], m <= n, of any rank."""
    return jnp.linalg.qr(matrix)[0]
