"""The extreme eigenvalues of a symmetric matrix that is known by its products."""

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

SMALL = 64  # up to here the whole matrix costs no more than the usual number of steps


class Eigen(NamedTuple):
    """Eigenvalues and their vectors, in the order that was asked for.

    Attributes:
        values: [k]; NaN where there is none.
        vectors: a pytree like the params whose leaves have a leading axis k; of unit length over all leaves together,
            signed so that the entry of largest magnitude is positive (the first of them, if several are).
        residuals: [k], |A v - lambda v|: there is an eigenvalue of A within that of lambda.
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
    """The k extreme eigenvalues, by the Lanczos process, and how far each is from being one.

    "largest" and "smallest" are meant algebraically, as in the literature on the edge of stability (Cohen, Kaur, Li,
    Kolter & Talwalkar, 2021): the largest eigenvalue is the sharpness, and gradient descent of rate lr is stable on a
    quadratic where it is below 2 / lr. "magnitude" is by |lambda|, as power iteration finds them: at a saddle another
    thing. Values are sorted so: descending, ascending, descending in magnitude.

    Products: `steps`, or min(d, 2 k + 30), and k more for the residuals, one after the other. A matrix of d <= 64 rows
    (unless `steps` is given), or of d <= `steps`, is written out instead and solved whole, with d products at once.

    The Lanczos process sees each eigenvalue once, however often A has it, and only those of which `start` has a part.
    Where there are fewer than k, as when d < k, the others are NaN, with vectors and residuals, and not converged. So
    is all of a matrix that is not finite.

    Args:
        matvec: v -> A v on pytrees like `like`; A must be symmetric.
        like: a pytree of arrays, of the shapes and dtypes of the params.
        k: how many.
        key: random; draws the start.
        steps: how many Lanczos steps; static. More of them converge further.
        which: see above.
        start: where the process starts, in place of a draw, a pytree like `like`; eigenvectors of a point nearby, say.
        tolerance: see `Eigen.converged`.

    Raises:
        ValueError: another `which`; k below 1; fewer steps than eigenvalues.
    """
    if which not in get_args(Which):
        raise ValueError(f"which is one of {', '.join(get_args(Which))}, not {which!r}")
    if k < 1:
        raise ValueError(f"k counts eigenvalues, and {k} is less than one")
    operator = flat(matvec, like)
    size = operator.size
    if steps is not None and steps < min(k, size):
        raise ValueError(f"{steps} Lanczos steps see {steps} eigenvalues at most, and k={k} are asked for: give more")
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
    images = jax.lax.map(operator.matvec, rows)  # one at a time: k at once would want k times the memory
    residuals = jnp.sqrt(jnp.sum((images - picked[:, None] * rows) ** 2, axis=1))
    scale = jnp.max(jnp.where(jnp.isnan(values), 0, jnp.abs(values)))
    lacking = k - len(picked)
    picked, residuals = (jnp.pad(x, (0, lacking), constant_values=jnp.nan) for x in (picked, residuals))
    rows = jnp.pad(rows, ((0, lacking), (0, 0)), constant_values=jnp.nan)
    return Eigen(picked, jax.vmap(operator.unravel)(rows), residuals, residuals <= tolerance * scale)


def _order(values: Array, which: Which) -> Array:
    """Indices that sort values as asked for, NaN last."""
    scores = {"largest": -values, "smallest": values, "magnitude": -jnp.abs(values)}[which]
    return jnp.argsort(scores)


def _signed(rows: Array) -> Array:
    largest = jnp.take_along_axis(rows, jnp.argmax(jnp.abs(rows), axis=1)[:, None], axis=1)
    return jnp.where(largest < 0, -rows, rows)
