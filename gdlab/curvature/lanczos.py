"""The Lanczos process (Lanczos, 1950), with full reorthogonalisation and a guard against its breakdown."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gdlab.types import Array


class Tridiagonal(NamedTuple):
    """A symmetric matrix A as its orthonormal vectors Q see it: Q A Q' = T, tridiagonal, on the first `live` rows.

    Attributes:
        alpha: [k], the diagonal of T.
        beta: [k]; beta[j] stands in T beside row j, between j and j + 1; the last is what A has outside, |A q - Q' T q|
            for the last q.
        vectors: Q, [k, d], rows orthonormal, the first along the start.
        live: how many rows there are; those after are zero, in all three arrays.
    """

    alpha: Array
    beta: Array
    vectors: Array
    live: Array


def lanczos(matvec: Callable[[Array], Array], start: Array, steps: int) -> Tridiagonal:
    """`steps` steps of the Lanczos process for a symmetric matrix A, from a vector [d], float32 or float64.

    q_0 = start / |start|; w = A q_j, alpha_j = q_j'w; w <- w - Q'Q w twice, Q all vectors so far (once leaves errors of
    the size of the first pass; "twice is enough", Parlett, 1980, section 6.9); beta_j = |w|, q_(j+1) = w / beta_j.

    In the space of all A^j start there are only as many directions as there are distinct eigenvalues of which `start`
    has a part. Once they are used up, w is rounding error, and from its direction, which is noise, T gets eigenvalues
    that A does not have. So the process stops at beta_j <= 10 sqrt(d) eps max_(i <= j) (|alpha_i| + beta_i): that beta
    is 0, and so is all that comes after. A start of zeros has no live step. What is not finite comes through as NaN.

    `steps` products, made whether live or not (the program has a fixed length), and steps^2 d multiplications, four
    times; memory for `steps` vectors.

    Raises:
        ValueError: less than one step.
    """
    if steps < 1:
        raise ValueError(f"the Lanczos process takes at least one step, not {steps}")
    tolerance = 10 * start.size**0.5 * float(jnp.finfo(start.dtype).eps)
    length = _norm(start)
    alive = ~(length == 0)  # NaN is alive

    def step(carry: tuple[Any, ...], j: Array) -> tuple[Any, tuple[Array, Array, Array]]:
        basis, q, alive, scale = carry
        basis = basis.at[j].set(q)
        w = matvec(q)
        alpha = _product(q, w)
        for _ in range(2):
            w = w - _product(_product(basis, w), basis)
        beta = _norm(w)
        scale = jnp.maximum(scale, jnp.abs(alpha) + beta)
        goes_on = alive & ~(beta <= tolerance * scale)
        q = jnp.where(goes_on, w / jnp.where(goes_on, beta, 1), 0)
        record = jnp.where(alive, alpha, 0), jnp.where(goes_on, beta, 0), alive
        return (basis, q, goes_on, scale), record

    first = jnp.where(alive, start / jnp.where(alive, length, 1), 0)
    carry = (jnp.zeros((steps, start.size), start.dtype), first, alive, jnp.zeros((), start.dtype))
    (basis, *_), (alpha, beta, lived) = jax.lax.scan(step, carry, jnp.arange(steps))
    return Tridiagonal(alpha, beta, basis, jnp.sum(lived))


def _product(a: Array, b: Array) -> Array:
    """a b in full: the vectors must stay orthogonal to rounding, and accelerators round products shorter by default."""
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def _norm(x: Array) -> Array:
    return jnp.sqrt(jnp.sum(x * x))
