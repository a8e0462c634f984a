"""Stochastic estimates of the trace and the diagonal of a matrix from its matrix-vector products."""

from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp

from gdlab.curvature.flat_operator import FlatOperator, flat
from gdlab.curvature.one_by_one import orthonormal
from gdlab.curvature.probing import signs
from gdlab.curvature.products import Matvec
from gdlab.types import Array, PyTree

Method = Literal["hutchinson", "hutch++"]


class Estimate(NamedTuple):
    """The mean over probes and its standard error: standard deviation over probes / sqrt(probes); NaN for one probe."""

    value: Array
    stderr: Array


def trace(matvec: Matvec, like: PyTree, key: Array, probes: int = 32, method: Method = "hutchinson") -> Estimate:
    """An unbiased estimate of the trace of A.

    - "hutchinson" (Hutchinson, 1990): the mean of v'A v over Rademacher vectors v. For symmetric A its variance for
      one probe is 2 sum_(i != j) A_ij^2, which is 0 if A is diagonal.
    - "hutch++" (Meyer, Musco, Musco & Woodruff, 2021, algorithm 1): a third of the products gives a basis Q of A S, S
      Rademacher, a third the trace of Q'A Q, and a third Hutchinson's estimate of the trace of the remainder
      (I - QQ') A (I - QQ'). The standard error is that of the last third only, for fixed Q. More accurate if few
      eigenvalues make up most of the trace. Q takes the memory of `probes` / 3 vectors.

    Args:
        matvec, like: see `top`; A need not be symmetric.
        key: a PRNG key, for the probes.
        probes: the number of products; static. "hutch++" uses the largest multiple of 3 up to this number, and
            fewer products if a smaller Q already spans the whole space.

    Raises:
        ValueError: an unknown method, or too few probes: less than 1, or 3 for "hutch++".
    """
    if method not in get_args(Method):
        raise ValueError(f"method must be one of {', '.join(get_args(Method))}, not {method!r}")
    least = 3 if method == "hutch++" else 1
    if probes < least:
        raise ValueError(f"{method} needs at least {least} probes, not {probes}")
    operator = flat(matvec, like)
    if method == "hutchinson":
        values = jax.lax.map(lambda v: _dot(v, operator.matvec(v)), _signs(key, probes, operator))
        return Estimate(values.mean(), _stderr(values))
    return _hutch_plus_plus(operator, key, probes // 3)


def diagonal(matvec: Matvec, like: PyTree, key: Array, probes: int) -> tuple[PyTree, PyTree]:
    """An unbiased estimate of the diagonal of A: the mean of v * (A v) over Rademacher vectors v.

    For symmetric A its variance for one probe is sum_(j != i) A_ij^2 at entry i, which is 0 if A is diagonal.

    Source: Bekas, Kokiopoulou & Saad (2007).

    Returns:
        (value, stderr): pytrees like `like`; the standard error as in `Estimate`.

    Raises:
        ValueError: fewer than one probe.
    """
    if probes < 1:
        raise ValueError(f"probes must be at least 1, not {probes}")
    operator = flat(matvec, like)
    zero = jnp.zeros(operator.size, operator.dtype)

    def add(carry: tuple[Array, Array], indexed: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        mean, squares = carry  # Welford (1962): holds two vectors and avoids cancellation
        count, key = indexed
        v = signs(key, operator)
        value = v * operator.matvec(v)
        change = value - mean
        mean = mean + change / count
        return (mean, squares + change * (value - mean)), None

    counts = jnp.arange(1, probes + 1, dtype=operator.dtype)
    (mean, squares), _ = jax.lax.scan(add, (zero, zero), (counts, jax.random.split(key, probes)))
    stderr = jnp.sqrt(squares / (probes - 1) / probes) if probes > 1 else jnp.full_like(mean, jnp.nan)
    return operator.unravel(mean), operator.unravel(stderr)


def _hutch_plus_plus(operator: FlatOperator, key: Array, third: int) -> Estimate:
    for_basis, for_rest = jax.random.split(key)
    sketch = jax.lax.map(operator.matvec, _signs(for_basis, min(third, operator.size), operator))
    basis = orthonormal(sketch.T).T  # orthonormal rows, even if the rows of the sketch are linearly dependent
    within = jnp.sum(jax.lax.map(lambda q: _dot(q, operator.matvec(q)), basis))

    def outside(v: Array) -> Array:
        for _ in range(2):
            v = v - _product(_product(basis, v), basis)
        return v

    def rest(v: Array) -> Array:
        left = outside(v)
        return _dot(left, operator.matvec(left))

    values = jax.lax.map(rest, _signs(for_rest, third, operator))
    return Estimate(within + values.mean(), _stderr(values))


def _signs(key: Array, probes: int, operator: FlatOperator) -> Array:
    return jax.vmap(lambda key: signs(key, operator))(jax.random.split(key, probes))


def _stderr(values: Array) -> Array:
    if len(values) < 2:
        return jnp.full((), jnp.nan, values.dtype)
    return jnp.std(values, ddof=1) / len(values) ** 0.5


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def _dot(x: Array, y: Array) -> Array:
    return jnp.sum(x * y)
