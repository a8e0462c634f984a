"""Shampoo (Gupta, Koren & Singer, 2018). https://arxiv.org/abs/1802.09568"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gdlab import register
from gdlab.rules.leafwise import each, widen
from gdlab.rules.matrices import inverse_root, matmul, unfold
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates


class ShampooState(NamedTuple):
    """Sums over the steps taken, at least float32. A leaf unfolds to [rows, columns] (`matrices.unfold`)."""

    left: PyTree  # L, sum of G G', [rows, rows]; for a vector or a scalar the sum of g^2, in its shape
    right: PyTree  # R, sum of G' G, [columns, columns]; for a vector or a scalar empty, [0, 0]


@register.rule(
    "shampoo",
    source="Gupta, Koren & Singer, Shampoo: preconditioned stochastic tensor optimization, 2018, Algorithm 1",
    url="https://arxiv.org/abs/1802.09568",
    year=2018,
    ranges={"lr": (1e-3, 10.0), "eps": (1e-6, 10.0)},
    scope="leaf",
    memory=2,
    differs="Later versions average L and R, compute roots every few steps, and use another rule's step length.",
)
@schedulable
def shampoo(lr: Hyperparameter = 0.1, eps: Hyperparameter = 1e-4) -> Rule:
    """Shampoo: L <- L + G G', R <- R + G' G, u = -lr (eps I + L)^(-1/4) G (eps I + R)^(-1/4), from L = R = 0.

    A leaf with more axes [..., m, n] is unfolded to [... m, n], so a convolution kernel [kh, kw, in, out] becomes
    [kh kw in, out]; the paper has a factor for each axis. A vector or a scalar has the diagonal of the paper's single
    factor, to the power -1/2, which is AdaGrad: v <- v + g^2 and u = -lr g / sqrt(eps + v). The roots are computed from
    eigenvalues at every step.

    The registered `memory` holds for square matrices; for a leaf [m, n] the state has m^2 + n^2 numbers.

    Source: Gupta, Koren & Singer (2018), Algorithm 1, with lr = eta.

    >>> rule = shampoo(lr=0.5, eps=0.0)
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(updates), 6)
    -0.5
    """

    def left(g: Array) -> Array:
        return g**2 if g.ndim < 2 else matmul(unfold(g), unfold(g).T)

    def right(g: Array) -> Array:
        return jnp.zeros((0, 0), g.dtype) if g.ndim < 2 else matmul(unfold(g).T, unfold(g))

    def damped(total: Array, eps: Array) -> Array:
        return total + eps * jnp.eye(len(total), dtype=total.dtype) if total.ndim == 2 else total + eps

    def formula(g: Array, left: Array, right: Array, *, lr: Array) -> Array:
        if g.ndim < 2:
            positive = left > 0
            return -lr * g * jnp.where(positive, jax.lax.rsqrt(jnp.where(positive, left, 1)), 0)
        return -lr * matmul(left, unfold(g), right).reshape(g.shape)

    def init(params: Params) -> ShampooState:
        wide = widen(params)
        return ShampooState(*(jax.tree.map(lambda x, of=of: jnp.zeros_like(of(x)), wide) for of in (left, right)))

    def update(
        grads: Grads, state: ShampooState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, ShampooState]:
        after = ShampooState(
            each(lambda total, g: total + left(g), state.left, grads),
            each(lambda total, g: total + right(g), state.right, grads),
        )
        roots = _inverse_roots(grads, *(each(damped, total, eps=eps) for total in after))
        return each(formula, grads, *roots, lr=lr), after

    return Rule(init, update)


def _inverse_roots(grads: Grads, left: PyTree, right: PyTree) -> tuple[PyTree, PyTree]:
    """Both factors to the power -1/4 for leaves with two or more axes; the factors of other leaves are unchanged."""

    def root(grad: Array, factor: Array) -> Array:
        return inverse_root(4, factor) if jnp.ndim(grad) >= 2 and factor.size else factor

    return jax.tree.map(root, grads, left), jax.tree.map(root, grads, right)
