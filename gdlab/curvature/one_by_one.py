"""Factorisations of small matrices: of many, under vmap, one after the other.

XLA hands a batch of them to its threads in parts and waits; on a CPU two devices that wait so side by side can take all
its threads, and wait for ever (jaxlib 0.10). One matrix alone is not handed on.
"""

import jax
import jax.numpy as jnp

from gdlab.types import Array


@jax.custom_batching.sequential_vmap
def eigh(symmetric: Array) -> tuple[Array, Array]:
    """Eigenvalues [n], ascending, and eigenvectors [n, n], a column each, of a symmetric matrix."""
    values, vectors = jnp.linalg.eigh(symmetric)
    return values, vectors


@jax.custom_batching.sequential_vmap
def orthonormal(matrix: Array) -> Array:
    """An orthonormal basis [n, m] of the columns of a matrix [n, m], m <= n, and some completion where they are
    dependent."""
    return jnp.linalg.qr(matrix)[0]
