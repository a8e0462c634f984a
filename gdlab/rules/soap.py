"""SOAP (Vyas et al., 2024). https://arxiv.org/abs/2409.11321"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.rules.counting import due
from gdlab.rules.leafwise import each, widen, zeros
from gdlab.rules.matrices import matmul, orthonormal, unfold
from gdlab.rules.moments import adam_direction, moving_average, update_moment
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class SOAPState(NamedTuple):
    """Adam's moments, Shampoo's factors and their eigenvectors; at least float32.

    A leaf unfolds to [rows, columns] (`matrices.unfold`). For a vector or a scalar the last four fields are [0, 0].
    """

    count: Array  # type: ignore[assignment]  # t, [] int32: steps taken
    mu: PyTree  # M, shaped like params
    nu: PyTree  # V, shaped like params: second moment of P' G Q
    left: PyTree  # L, [rows, rows]: average of G G'
    right: PyTree  # R, [columns, columns]: average of G' G
    left_basis: PyTree  # P, [rows, rows]
    right_basis: PyTree  # Q, [columns, columns]


@register.rule(
    "soap",
    source="Vyas et al., SOAP: improving and stabilizing Shampoo using Adam, 2024, Algorithm 3",
    url="https://arxiv.org/abs/2409.11321",
    year=2024,
    ranges={"lr": (1e-4, 1.0), "b1": (0.0, 0.99), "b2": (0.5, 0.999), "eps": (1e-12, 1e-2), "period": (1, 20)},
    scope="leaf",
    memory=6,
    differentiable=False,
    differs="The authors' code computes the first bases from the first gradient, and makes no update on that step.",
)
@schedulable
def soap(
    lr: Hyperparameter = 3e-3,
    b1: Hyperparameter = 0.95,
    b2: Hyperparameter = 0.95,
    eps: Hyperparameter = 1e-8,
    period: int = 10,
) -> Rule:
    """SOAP: u = -lr P N Q', N Adam's direction for the gradient P' G Q, in the eigenvectors P, Q of Shampoo's factors.

    M <- b1 M + (1 - b1) G and V <- b2 V + (1 - b2) (P' G Q)^2, with bias correction as in `adam`, and
    N = P' Mhat Q / (sqrt(Vhat) + eps). L <- b2 L + (1 - b2) G G' and R <- b2 R + (1 - b2) G' G. After every `period`-th
    step P and Q are updated by one step of power iteration: P <- qr(L P) and Q <- qr(R Q), where qr is the orthogonal
    factor of the QR decomposition. P = Q = I until the first such step, and always for a vector or a scalar; the rule
    then equals Adam. A leaf with more axes [..., m, n] is unfolded to [... m, n], so a convolution kernel
    [kh, kw, in, out] becomes [kh kw in, out]. The QR decomposition has no derivative where columns are linearly
    dependent (with two dead units, say), so a run can't be differentiated.

    The registered `memory` holds for square matrices; for a leaf [m, n] the state has 2 (m n + m^2 + n^2) numbers.

    Source: Vyas et al. (2024), Algorithms 3 and 4.

    >>> rule = soap(lr=0.5, eps=0.0)
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(updates), 6)
    -0.5
    """

    def second_moment(v: Array, g: Array, p: Array, q: Array, b2: Array) -> Array:
        return moving_average(v, _rotated(g, p, q) ** 2, b2)

    def left_factor(average: Array, g: Array, b2: Array) -> Array:
        return moving_average(average, _gram(g, average, 0), b2)

    def right_factor(average: Array, g: Array, b2: Array) -> Array:
        return moving_average(average, _gram(g, average, 1), b2)

    def formula(_: Array, m: Array, v: Array, p: Array, q: Array, *, t: Array, lr: Array, **decays: Array) -> Array:
        return -lr * _rotated(adam_direction(_rotated(m, p, q), v, t, **decays), p.T, q.T)

    def init(params: Params) -> SOAPState:
        wide = widen(params)
        rows, columns = (jax.tree.map(lambda x, axis=axis: _identity(x, axis), wide) for axis in (0, 1))
        empty = (jax.tree.map(jnp.zeros_like, rows), jax.tree.map(jnp.zeros_like, columns))
        return SOAPState(jnp.zeros([], jnp.int32), zeros(params), zeros(params), *empty, rows, columns)

    def update(grads: Grads, state: SOAPState, params: Params | None = None, **extra: Any) -> tuple[Updates, SOAPState]:
        count = optax.safe_increment(state.count)
        bases = (state.left_basis, state.right_basis)
        m = update_moment(grads, state.mu, b1=b1)
        v = each(second_moment, state.nu, grads, *bases, b2=b2)
        factors = each(left_factor, state.left, grads, b2=b2), each(right_factor, state.right, grads, b2=b2)
        updates = each(formula, grads, m, v, *bases, t=count, lr=lr, b1=b1, b2=b2, eps=eps)
        after = jax.lax.cond(due(count, period), lambda: _power_iteration(factors, bases), lambda: bases)
        return updates, SOAPState(count, m, v, *factors, *after)

    return Rule(init, update)


def _identity(x: Array, axis: int) -> Array:
    return jnp.eye(0 if x.ndim < 2 else unfold(x).shape[axis], dtype=x.dtype)


def _rotated(x: Array, p: Array, q: Array) -> Array:
    """P' X Q, in the shape of x; a vector or a scalar is returned unchanged."""
    return x if x.ndim < 2 else matmul(p.T, unfold(x), q).reshape(x.shape)


def _gram(g: Array, like: Array, axis: int) -> Array:
    """G G' for axis 0, G' G for axis 1; for a vector or a scalar zeros shaped like `like`."""
    if g.ndim < 2:
        return jnp.zeros_like(like)
    side = unfold(g) if axis == 0 else unfold(g).T
    return matmul(side, side.T)


def _power_iteration(factors: PyTree, bases: PyTree) -> PyTree:
    """The Q factor of the QR decomposition of A P, for each factor A and its basis P."""
    return jax.tree.map(lambda a, p: orthonormal(matmul(a, p)) if a.size else a, factors, bases)
