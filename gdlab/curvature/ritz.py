"""Ritz values and vectors of a Lanczos process."""

import jax.numpy as jnp

from gdlab.curvature.lanczos import Tridiagonal
from gdlab.curvature.one_by_one import eigh
from gdlab.types import Array


def ritz(t: Tridiagonal) -> tuple[Array, Array]:
    """The Ritz values, ascending, and the coordinates of the Ritz vectors in the Lanczos vectors.

    Returns:
        (values, coordinates): values [k], NaN after the first `live`; coordinates [k, k] with orthonormal columns: the
        i-th Ritz vector is `coordinates[:, i] @ t.vectors`, and `coordinates[0, i] ** 2` the squared
            component of the normalised start vector along it.
        All values are NaN if T is not finite.
    """
    steps = len(t.alpha)
    index = jnp.arange(steps)
    live = index < t.live
    # Unused rows form a separate block. A diagonal above all other eigenvalues (Gershgorin) puts them last.
    reach = jnp.abs(t.alpha) + t.beta + jnp.roll(t.beta, 1)
    bound = jnp.max(reach)
    diagonal = jnp.where(live, t.alpha, jnp.where(bound > 0, 2 * bound, 1))
    matrix = jnp.diag(diagonal) + jnp.diag(t.beta[:-1], 1) + jnp.diag(t.beta[:-1], -1)
    finite = jnp.isfinite(matrix).all()
    values, coordinates = eigh(jnp.where(finite, matrix, 0))
    return jnp.where(live & finite, values, jnp.nan), coordinates
