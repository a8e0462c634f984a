"""Muon, momentum orthogonalised by Newton and Schulz's iteration (Jordan, 2024).

https://kellerjordan.github.io/posts/muon/
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gdlab import register
from gdlab.pytrees import norm
from gdlab.rules.leafwise import each, zeros
from gdlab.rules.matrices import matrix, times
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, PyTree, Rule, Updates

_STEPS = 5
_A, _B, _C = 3.4445, -4.7750, 2.0315


class MuonState(NamedTuple):
    """The velocity."""

    velocity: PyTree  # B, shaped like params, at least float32


@register.rule(
    "muon",
    source="Jordan, Muon: an optimizer for hidden layers in neural networks, 2024",
    url="https://kellerjordan.github.io/posts/muon/",
    year=2024,
    ranges={"lr": (1e-4, 1.0), "beta": (0.0, 0.99), "eps": (1e-10, 1e-2)},
    scope="leaf",
    memory=1,
    differs="Optax corrects both terms of Nesterov's sum for the start at 0, and gives all but matrices to Adam.",
)
@schedulable
def muon(
    lr: Hyperparameter = 0.02, beta: Hyperparameter = 0.95, eps: Hyperparameter = 1e-7, nesterov: bool = True
) -> Rule:
    """Muon: B <- beta B + G, u = -lr c O, O the matrix with the singular vectors of M = G + beta B and values near 1.

    Without `nesterov` M is B. O is what five steps X <- a X + b (X X') X + c (X X')^2 X make of M / (|M|_F + eps), with
    (a, b, c) = (3.4445, -4.7750, 2.0315): singular values above 0.002 of |M|_F end between 0.68 and 1.21. They never
    settle at 1, and no value is multiplied by more than a^5 = 485.

    c is sqrt(max(1, columns / rows)), for layers x W: their rows are inputs. Jordan has rows / columns, for PyTorch's
    layers W x. A leaf of more axes is a matrix [first, rest]. A vector is one column, so it takes a step of length
    about lr along its momentum. Differs from Jordan there, who gives vectors, numbers, embeddings and the last layer to
    AdamW, and from his code in precision: it iterates in bfloat16.

    Source: Jordan (2024).

    >>> rule = muon(lr=0.5)
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(updates), 3)
    -0.348
    """

    def formula(g: Array, velocity: Array, *, lr: Array, beta: Array, eps: Array) -> Array:
        m = matrix(g + beta * velocity if nesterov else velocity)
        rows, columns = m.shape
        scale = max(1.0, columns / max(rows, 1)) ** 0.5
        return -lr * scale * _orthogonalised(m, eps).reshape(g.shape)

    def init(params: Params) -> MuonState:
        return MuonState(zeros(params))

    def update(grads: Grads, state: MuonState, params: Params | None = None, **extra: Any) -> tuple[Updates, MuonState]:
        velocity = each(lambda v, g, beta: beta * v + g, state.velocity, grads, beta=beta)
        return each(formula, grads, velocity, lr=lr, beta=beta, eps=eps), MuonState(velocity)

    return Rule(init, update)


def _orthogonalised(m: Array, eps: Array) -> Array:
    """Five steps of the iteration, on the wide one of m and its transpose."""
    rows, columns = m.shape
    if rows > columns:
        return _orthogonalised(m.T, eps).T
    size = norm(m).astype(m.dtype) + eps
    x = m / jnp.where(size > 0, size, 1)  # eps may be 0, and m too
    for _ in range(_STEPS):
        square = times(x, x.T)
        x = _A * x + times(_B * square + _C * times(square, square), x)
    return x
