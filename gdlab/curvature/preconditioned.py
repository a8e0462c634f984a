"""Preconditioned curvature."""

import jax
import jax.numpy as jnp

from gdlab.curvature.products import Matvec
from gdlab.types import PyTree


def preconditioned(matvec: Matvec, diagonal: PyTree) -> Matvec:
    """v -> P^(-1/2) A P^(-1/2) v for a diagonal P > 0, a pytree like the params.

    The matrix is symmetric and has the eigenvalues of P^-1 A, which determine the stability of adaptive rules: on a
    quadratic, steps -lr P^-1 g are stable if all eigenvalues are below 2 / lr, and Adam with constant P if they are
    below (2 + 2 beta1) / ((1 - beta1) lr) (Cohen et al., Adaptive gradient methods at the edge of stability, 2022). If
    v is an eigenvector of this matrix, P^(-1/2) v is one of P^-1 A.

    If an entry of P is zero, negative or NaN, all products are NaN. An infinite entry gives a zero row and column.
    """
    scale = jax.tree.map(lambda p: jnp.where(p > 0, 1 / jnp.sqrt(jnp.where(p > 0, p, 1)), jnp.nan), diagonal)

    def scaled(v: PyTree) -> PyTree:
        return jax.tree.map(lambda s, x: s.astype(x.dtype) * x, scale, v)

    return lambda v: scaled(matvec(scaled(v)))
