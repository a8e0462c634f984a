"""The Lanczos process (Lanczos, 1950) with full reorthogonalisation and a test for breakdown."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gdlab.types import Array


class Tridiagonal(NamedTuple):
    """The projection Q A Q' = T of a symmetric matrix A, tridiagonal, on the first `live` rows.

    Attributes:
        alpha: [k], the diagonal of T.
        beta: [k]; beta[j] is the entry of T at (j, j + 1) and (j + 1, j). The last is the norm of the residual,
            |A q - Q' T q| for the last q.
        vectors: Q, [k, d], orthonormal rows, the first parallel to the start.
        live: the number of rows in use; all three arrays are zero after them.
    """

    alpha: Array
    beta: Array
    vectors: Array
    live: Array


def lanczos(matvec: Callable[[Array], Array], start: Array, steps: int) -> Tridiagonal:
    """`steps` steps of the Lanczos process for a symmetric matrix A, from a vector [d], float32 or float64.

    q_0 = start / |start|; w = A q_j, alpha_j = q_j'w; w <- w - Q'Q w twice, where the rows of Q are all vectors so far
    ("twice is enough", Parlett, 1980, section 6.9); beta_j = |w|, q_(j+1) = w / beta_j.

    The dimension of the Krylov space is the number of distinct eigenvalues with a component in `start`. Beyond it, w is
    rounding error, and T would get eigenvalues that A does not have. So the process stops at
    beta_j <= 10 sqrt(d) eps max_(i <= j) (|alpha_i| + beta_i): that beta and all later entries are 0. A zero start has
    no live step. Values that are not finite give NaN.

    Takes `steps` products, also after the process has stopped (the program has a fixed length), 4 steps^2 d
    multiplications, and memory for `steps` vectors.

    Raises:
        ValueError: fewer than one step.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    tolerance = 10 * start.size**0.5 * float(jnp.finfo(start.dtype).eps)
    length = _norm(start)
    alive = ~(length == 0)  # true for NaN, so that NaN reaches the result

    def step(carry: tuple[Any, ...], j: Array) -> tuple[Any, tuple[Array, Array, Array]]:
        basis, q, alive, scale = carry
        basis = basis.at[j].set(q)
        w = matvec(q)
        alpha = _product(q, w)
        for _ in range(2):
            w = w - _product(_product(basis, w), basis)
        beta = _norm(w)
        scale = jnp.maximum(scale, jnp.abs(alpha) + beta)
        continues = alive & ~(beta <= tolerance * scale)
        q = jnp.where(continues, w / jnp.where(continues, beta, 1), 0)
        record = jnp.where(alive, alpha, 0), jnp.where(continues, beta, 0), alive
        return (basis, q, continues, scale), record

    first = jnp.where(alive, start / jnp.where(alive, length, 1), 0)
    carry = (jnp.zeros((steps, start.size), start.dtype), first, alive, jnp.zeros((), start.dtype))
    (basis, *_), (alpha, beta, lived) = jax.lax.scan(step, carry, jnp.arange(steps))
    return Tridiagonal(alpha, beta, basis, jnp.sum(lived))


def _product(a: Array, b: Array) -> Array:
    """a b at full precision: accelerators use less by default, and the vectors would lose orthogonality."""
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def _norm(x: Array) -> Array:
    return jnp.sqrt(jnp.sum(x * x))
