"""The largest eigenvalue of a slowly changing matrix, warm-started with the previous eigenvector."""

import jax
import jax.numpy as jnp

from gdlab.curvature import Matvec, lanczos, ritz
from gdlab.curvature.flat_operator import flat
from gdlab.types import Array, Params

# Weight of a random direction in the start vector. Without it, an exact eigenvector would hide another eigenvalue that
# has become the largest.
_FRESH = 0.03
# Weight of the second eigenvector, whose eigenvalue may become the largest.
_SECOND = 0.1
# The largest number of Lanczos runs per measurement.
_MOST = 8


def zero_start(params: Params) -> Array:
    """The start vector before the first measurement: zeros [d]."""
    operator = flat(lambda v: v, params)
    return jnp.zeros(operator.size, operator.dtype)


def leading(
    matvec: Matvec, like: Params, before: Array, key: Array, iterations: int, tolerance: float
) -> tuple[Array, Array]:
    """The algebraically largest eigenvalue of a symmetric matrix, and the next start vector [d].

    Runs `iterations` Lanczos steps, of one product each, from `before`, the eigenvector of a nearby matrix, plus a
    small random direction (from the random direction alone if `before` is zero). Restarts from the eigenvector found
    until |A v - value v| <= tolerance |value|, for at most eight runs in total; the residual needs no further product.
    The value is a Rayleigh quotient, so up to rounding it is at most the true one. The next start vector is v plus a
    small multiple of the second Ritz vector.

    If the matrix is not finite, the value is NaN and the next start vector zero.

    Under vmap it iterates until all runs have converged. The value has no reverse-mode derivative.
    """
    operator = flat(matvec, like)
    steps = min(iterations, operator.size)

    def found(start: Array, count: Array) -> tuple[Array, Array, Array, Array]:
        t = lanczos(operator.matvec, start, steps)
        values, coordinates = ritz(t)
        last = t.live - 1
        second = jnp.where(last > 0, coordinates[:, last - 1], 0)
        mixed = coordinates[:, last] + _SECOND * second
        vector = jnp.matmul(mixed, t.vectors, precision=jax.lax.Precision.HIGHEST)
        return values[last], vector, t.beta[last] * jnp.abs(coordinates[last, last]), count + 1

    def unconverged(last: tuple[Array, Array, Array, Array]) -> Array:
        value, _, residual, count = last
        return (residual > tolerance * jnp.abs(value)) & (count < _MOST)

    fresh = jax.random.normal(key, (operator.size,), operator.dtype)
    start = before + _FRESH * fresh / jnp.sqrt(jnp.sum(fresh * fresh))
    first = found(start, jnp.zeros((), jnp.int32))
    value, vector, _, _ = jax.lax.while_loop(unconverged, lambda last: found(last[1], last[3]), first)
    return value, jnp.where(jnp.isfinite(value), vector, 0)
