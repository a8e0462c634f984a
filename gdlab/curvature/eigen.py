"""Extreme eigenvalues of a symmetric matrix from its matrix-vector products."""

from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp

from gdlab.curvature.dense import dense
from gdlab.curvature.flat_operator import flat
from gdlab.curvature.lanczos import lanczos
from gdlab.curvature.one_by_one import eigh
from gdlab.curvature.products import Matvec
from gdlab.curvature.ritz import ritz
from gdlab.types import Array, PyTree

Which = Literal["largest", "smallest", "magnitude"]

SMALL = 64  # up to this size the dense matrix costs no more than the default number of Lanczos steps


class Eigen(NamedTuple):
    """Eigenvalues and eigenvectors, in the order of `which`.

    Attributes:
        values: [k]; NaN for missing ones.
        vectors: a pytree like the params whose leaves have a leading axis k. Each has unit norm over all leaves
            together, and a sign such that the entry of largest magnitude (the first of equal ones) is positive.
        residuals: [k], |A v - lambda v|; A has an eigenvalue within this distance of lambda.
        converged: [k], whether the residual is at most `tolerance` times the largest |lambda| found.
    """

    values: Array
    vectors: PyTree
    residuals: Array
    converged: Array


def top(
    matvec: Matvec,
    like: PyTree,
    k: int,
    key: Array,
    *,
    steps: int | None = None,
    which: Which = "largest",
    start: PyTree | None = None,
    tolerance: float = 1e-3,
) -> Eigen:
    """The k extreme eigenvalues by the Lanczos process, with their residuals.

    "largest" and "smallest" are algebraic, as in the literature on the edge of stability (Cohen, Kaur, Li, Kolter &
    Talwalkar, 2021): the largest eigenvalue is the sharpness, and gradient descent is stable on a quadratic if it is
    below 2 / lr. "magnitude" is by |lambda|, as in power iteration; at a saddle these differ. The values are sorted:
    descending for "largest", ascending for "smallest", descending by |lambda| for "magnitude".

    Takes `steps`, by default min(d, 2 k + 30), products, and k more for the residuals, one at a time. If d <= 64 and
    `steps` is not given, or if d <= `steps`, the dense matrix is computed with d products at once and diagonalised.

    The Lanczos process finds each distinct eigenvalue once, and only those whose eigenspace is not orthogonal to
    `start`. If it finds fewer than k, for example because d < k, the remaining values, vectors and residuals are NaN
    and not converged; so are all of them for a matrix that is not finite.

    Args:
        matvec: v -> A v on pytrees like `like`; A must be symmetric.
        like: a pytree of arrays with the shapes and dtypes of the params.
        k: the number of eigenvalues; static.
        key: a PRNG key, for the start vector.
        steps: the number of Lanczos steps; static. More steps give smaller residuals.
        which: the end of the spectrum, see above.
        start: a start vector in place of a random one, a pytree like `like`; for example an eigenvector at a nearby
            point.
        tolerance: see `Eigen.converged`.

    Raises:
        ValueError: an unknown `which`; k below 1; fewer steps than eigenvalues.
    """
    if which not in get_args(Which):
        raise ValueError(f"which must be one of {', '.join(get_args(Which))}, not {which!r}")
    if k < 1:
        raise ValueError(f"k, the number of eigenvalues, must be at least 1, not {k}")
    operator = flat(matvec, like)
    size = operator.size
    if steps is not None and steps < min(k, size):
        raise ValueError(f"{steps} Lanczos steps find at most {steps} eigenvalues; k={k} needs steps={k} or more")
    taken = min(size, 2 * k + 30) if steps is None else min(size, steps)
    if taken == size or (steps is None and size <= SMALL):
        matrix = dense(matvec, like)
        finite = jnp.isfinite(matrix).all()
        values, columns = eigh(jnp.where(finite, matrix, 0))
        values, vectors = jnp.where(finite, values, jnp.nan), columns.T
    else:
        first = jax.random.normal(key, (size,), operator.dtype) if start is None else operator.ravel(start)
        t = lanczos(operator.matvec, first, taken)
        values, coordinates = ritz(t)
        vectors = jnp.matmul(coordinates.T, t.vectors, precision=jax.lax.Precision.HIGHEST)
    chosen = _order(values, which)[:k]
    picked, rows = values[chosen], _signed(vectors[chosen])
    rows = jnp.where(jnp.isnan(picked)[:, None], jnp.nan, rows)
    images = jax.lax.map(operator.matvec, rows)  # one at a time, to save memory
    residuals = jnp.sqrt(jnp.sum((images - picked[:, None] * rows) ** 2, axis=1))
    scale = jnp.max(jnp.where(jnp.isnan(values), 0, jnp.abs(values)))
    missing = k - len(picked)
    picked, residuals = (jnp.pad(x, (0, missing), constant_values=jnp.nan) for x in (picked, residuals))
    rows = jnp.pad(rows, ((0, missing), (0, 0)), constant_values=jnp.nan)
    return Eigen(picked, jax.vmap(operator.unravel)(rows), residuals, residuals <= tolerance * scale)


def _order(values: Array, which: Which) -> Array:
    """Indices that sort the values in the order of `which`, NaN last."""
    scores = {"largest": -values, "smallest": values, "magnitude": -jnp.abs(values)}[which]
    return jnp.argsort(scores)


def _signed(rows: Array) -> Array:
    largest = jnp.take_along_axis(rows, jnp.argmax(jnp.abs(rows), axis=1)[:, None], axis=1)
    return jnp.where(largest < 0, -rows, rows)
