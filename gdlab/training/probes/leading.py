"""The largest eigenvalue of a matrix that changes slowly, from the eigenvector that was found before."""

import jax
import jax.numpy as jnp

from gdlab.curvature import Matvec, lanczos, ritz
from gdlab.curvature.flat_operator import flat
from gdlab.types import Array, Params

# How much of a random direction is mixed into the start. Without it, an eigenvector that is exact would never let the
# process see that another eigenvalue has become the largest.
_FRESH = 0.03
# And how much of the vector that came second, which may be about to overtake.
_SECOND = 0.1
# After so many restarts the value is what it is.
_MOST = 8


def nowhere(params: Params) -> Array:
    """What is known of the eigenvector before the first time: zeros [d]."""
    operator = flat(lambda v: v, params)
    return jnp.zeros(operator.size, operator.dtype)


def leading(
    matvec: Matvec, like: Params, before: Array, key: Array, iterations: int, tolerance: float
) -> tuple[Array, Array]:
    """The algebraically largest eigenvalue of a symmetric matrix, and where to start the next time: [d].

    The Lanczos process, `iterations` steps of a product each, from `before`, the eigenvector of a matrix nearby, with a
    random direction a little mixed in (from that alone where `before` is zeros); then again from the vector found, up
    to eight times in all, until |A v - value v| <= tolerance |value|, as the process tells without a further product.
    The value is a Rayleigh quotient: but for rounding never above the true one. The next start is the unit vector v and
    a little of the second.

    Of a matrix that is not finite the value is NaN, and the start zeros, so that the next time begins anew.

    Under vmap it goes on until the last lane is done. Reverse-mode differentiation of the value is not defined.
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

    def unsure(last: tuple[Array, Array, Array, Array]) -> Array:
        value, _, residual, count = last
        return (residual > tolerance * jnp.abs(value)) & (count < _MOST)

    fresh = jax.random.normal(key, (operator.size,), operator.dtype)
    start = before + _FRESH * fresh / jnp.sqrt(jnp.sum(fresh * fresh))
    first = found(start, jnp.zeros((), jnp.int32))
    value, vector, _, _ = jax.lax.while_loop(unsure, lambda last: found(last[1], last[3]), first)
    return value, jnp.where(jnp.isfinite(value), vector, 0)
