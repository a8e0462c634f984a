"""Shampoo (Gupta, Koren & Singer, 2018). https://arxiv.org/abs/1802.09568"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gdlab import register
from gdlab.rules.leafwise import each, widen
from gdlab.rules.matrices import in_turn, inverse_root, matrix, times
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class ShampooState(NamedTuple):
    """Sums over the past, at least float32; the rows of matrices, the columns of matrices, and of other leaves."""

    left: PyTree  # sum of G G', [rows, rows]; for a vector or a number, of g^2, in its shape
    right: PyTree  # sum of G' G, [columns, columns]; for a vector or a number nothing, [0, 0]


@register.rule(
    "shampoo",
    source="Gupta, Koren & Singer, Shampoo: preconditioned stochastic tensor optimization, 2018, Algorithm 1",
    url="https://arxiv.org/abs/1802.09568",
    year=2018,
    ranges={"lr": (1e-3, 10.0), "eps": (1e-6, 10.0)},
    scope="leaf",
    memory=2,
    differs="Later codes average the statistics, take roots every so many steps and graft the step's length.",
)
@schedulable
def shampoo(lr: Hyperparameter = 0.1, eps: Hyperparameter = 1e-4) -> Rule:
    """Shampoo: L <- L + G G', R <- R + G' G, u = -lr (eps I + L)^(-1/4) G (eps I + R)^(-1/4), from L = R = 0.

    A leaf of more than two axes is a matrix [first, rest]; the paper gives each axis a factor of its own. A vector or a
    number has the diagonal of the paper's single factor, to the power -1/2: AdaGrad, v <- v + g^2 and
    u = -lr g / sqrt(eps + v). The roots are by eigenvalues, at every step.

    `memory` counts a square matrix; of a leaf [m, n] the state keeps m^2 + n^2 numbers.

    Source: Gupta, Koren & Singer (2018), Algorithm 1, with lr = eta.

    >>> rule = shampoo(lr=0.5, eps=0.0)
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(updates), 6)
    -0.5
    """

    def left(g: Array) -> Array:
        return g**2 if g.ndim < 2 else times(matrix(g), matrix(g).T)

    def right(g: Array) -> Array:
        return jnp.zeros((0, 0), g.dtype) if g.ndim < 2 else times(matrix(g).T, matrix(g))

    def damped(total: Array, eps: Array) -> Array:
        return total + eps * jnp.eye(len(total), dtype=total.dtype) if total.ndim == 2 else total + eps

    def formula(g: Array, before: Array, after: Array, *, lr: Array) -> Array:
        if g.ndim < 2:
            some = before > 0
            return -lr * g * jnp.where(some, jax.lax.rsqrt(jnp.where(some, before, 1)), 0)
        return -lr * times(before, matrix(g), after).reshape(g.shape)

    def init(params: Params) -> ShampooState:
        wide = widen(params)
        return ShampooState(*(jax.tree.map(lambda x, of=of: jnp.zeros_like(of(x)), wide) for of in (left, right)))

    def update(
        grads: Grads, state: ShampooState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ShampooState]:
        rows = each(lambda total, g: total + left(g), state.left, grads)
        columns = each(lambda total, g: total + right(g), state.right, grads)
        before, after = (each(damped, total, eps=eps) for total in (rows, columns))
        return each(formula, grads, *_roots(grads, before, after), lr=lr), ShampooState(rows, columns)

    return Rule(init, update)


def _roots(grads: Grads, before: PyTree, after: PyTree) -> tuple[PyTree, PyTree]:
    """Both factors to the power -1/4 where the leaf is a matrix, and as they are elsewhere."""
    leaves, structure = jax.tree.flatten(grads)
    pairs = [jax.tree.leaves(side) for side in (before, after)]
    places = [i for i, leaf in enumerate(leaves) if jnp.ndim(leaf) >= 2]
    roots = in_turn(functools.partial(inverse_root, 4), [(side[i],) for side in pairs for i in places])
    for number, root in enumerate(roots):
        pairs[number // len(places)][places[number % len(places)]] = root
    first, second = (jax.tree.unflatten(structure, side) for side in pairs)
    return first, second
