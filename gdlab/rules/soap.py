"""SOAP (Vyas et al., 2024). https://arxiv.org/abs/2409.11321"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gdlab import register
from gdlab.rules.counting import due
from gdlab.rules.leafwise import each, widen, zeros
from gdlab.rules.matrices import in_turn, matrix, times
from gdlab.rules.moments import adam_direction, moving_average, update_moment
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class SOAPState(NamedTuple):
    """Adam's moments, and the bases in which it runs; at least float32. For a vector or a number these are [0, 0]."""

    step: Array  # t, [] int32: steps taken
    mean: PyTree  # M, shaped like params
    mean_square: PyTree  # V, shaped like params: of the gradients in the bases
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
    differs="The authors' code takes the first bases from the first gradient, and makes no update in that step.",
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

    M <- b1 M + (1 - b1) G and V <- b2 V + (1 - b2) (P' G Q)^2, corrected for their start at 0 as in `adam`, and
    N = P' Mhat Q / (sqrt(Vhat) + eps). After every `period`-th step P and Q take a step of the power iteration,
    P <- the Q factor of L P and Q <- that of R Q, with L <- b2 L + (1 - b2) G G' and R <- b2 R + (1 - b2) G' G. Until
    then they are I, and the rule is Adam; for a vector or a number it always is. A leaf of more axes is a matrix
    [first, rest]. QR has no derivative where columns are dependent (two dead units), so a run can't be differentiated.

    `memory` counts square matrices; of a leaf [m, n] the state keeps 2 (m n + m^2 + n^2) numbers.

    Source: Vyas et al. (2024), Algorithms 3 and 4.

    >>> rule = soap(lr=0.5, eps=0.0)
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(updates), 6)
    -0.5
    """

    def init(params: Params) -> SOAPState:
        wide = widen(params)
        rows, columns = (jax.tree.map(lambda x, axis=axis: _identity(x, axis), wide) for axis in (0, 1))
        empty = (jax.tree.map(jnp.zeros_like, rows), jax.tree.map(jnp.zeros_like, columns))
        return SOAPState(jnp.zeros([], jnp.int32), zeros(params), zeros(params), *empty, rows, columns)

    def update(grads: Grads, state: SOAPState, params: Params | None = None, **extra: Any) -> tuple[Updates, SOAPState]:
        step = optax.safe_increment(state.step)
        bases = (state.left_basis, state.right_basis)
        m = each(lambda m, g, b1: b1 * m + (1 - b1) * g, state.mean, grads, b1=b1)
        v = each(
            lambda v, g, p, q, b2: b2 * v + (1 - b2) * _into(g, p, q) ** 2, state.mean_square, grads, *bases, b2=b2
        )
        left = each(lambda total, g, b2: b2 * total + (1 - b2) * _square(g, total, 0), state.left, grads, b2=b2)
        right = each(lambda total, g, b2: b2 * total + (1 - b2) * _square(g, total, 1), state.right, grads, b2=b2)

        def formula(_: Array, m: Array, v: Array, p: Array, q: Array, *, t: Array, lr: Array, **decays: Array) -> Array:
            return -lr * _into(adam_direction(_into(m, p, q), v, t, **decays), p.T, q.T)

        updates = each(formula, grads, m, v, *bases, t=step, lr=lr, b1=b1, b2=b2, eps=eps)
        after = jax.lax.cond(due(step, period), lambda: _renewed((left, right), bases), lambda: bases)
        return updates, SOAPState(step, m, v, left, right, *after)

    return Rule(init, update)


def _identity(x: Array, axis: int) -> Array:
    return jnp.eye(0 if x.ndim < 2 else matrix(x).shape[axis], dtype=x.dtype)


def _into(x: Array, p: Array, q: Array) -> Array:
    """P' X Q, in the shape of x; a vector or a number as it is."""
    return x if x.ndim < 2 else times(p.T, matrix(x), q).reshape(x.shape)


def _square(g: Array, like: Array, axis: int) -> Array:
    """G G' or G' G."""
    if g.ndim < 2:
        return jnp.zeros_like(like)
    side = matrix(g) if axis == 0 else matrix(g).T
    return times(side, side.T)


def _renewed(averages: PyTree, bases: PyTree) -> PyTree:
    """One step of the power iteration from each basis, made orthogonal again: the Q of QR of A P."""
    leaves, structure = jax.tree.flatten(averages)
    pairs = list(zip(leaves, jax.tree.leaves(bases), strict=True))
    return jax.tree.unflatten(structure, in_turn(lambda a, p: jnp.linalg.qr(times(a, p))[0], pairs))
