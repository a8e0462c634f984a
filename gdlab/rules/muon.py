"""Muon, momentum orthogonalised by Newton-Schulz iteration (Jordan, 2024). https://kellerjordan.github.io/posts/muon/"""

from typing import Any

import jax.numpy as jnp

from gdlab import register
from gdlab.pytrees import norm
from gdlab.rules.leafwise import each
from gdlab.rules.matrices import matmul, unfold
from gdlab.rules.moments import VelocityState, init_velocity, update_velocity
from gdlab.rules.scheduled import Hyperparameter, schedulable
from gdlab.types import Array, Grads, Params, Rule, Updates

_STEPS = 5
_A, _B, _C = 3.4445, -4.7750, 2.0315


@register.rule(
    "muon",
    source="Jordan, Muon: an optimizer for hidden layers in neural networks, 2024",
    url="https://kellerjordan.github.io/posts/muon/",
    year=2024,
    ranges={"lr": (1e-4, 1.0), "beta": (0.0, 0.99), "eps": (1e-10, 1e-2)},
    scope="leaf",
    memory=1,
    differs="Optax corrects the bias of both terms of Nesterov's sum, and updates non-matrices with Adam.",
)
@schedulable
def muon(
    lr: Hyperparameter = 0.02, beta: Hyperparameter = 0.95, eps: Hyperparameter = 1e-7, nesterov: bool = True
) -> Rule:
    """Muon: B <- beta B + G, u = -lr c O, O the matrix with the singular vectors of M = G + beta B and values near 1.

    Without `nesterov` M is B. O is the result of five steps X <- a X + b (X X') X + c (X X')^2 X from
    M / (|M|_F + eps), with (a, b, c) = (3.4445, -4.7750, 2.0315). Singular values above 0.002 |M|_F end between 0.68
    and 1.21; they do not converge to 1, and none grows by more than the factor a^5 = 485.

    The scale c is sqrt(max(1, columns / rows)), for layers x W, where rows are inputs; Jordan has rows / columns, for
    PyTorch's layers W x. A leaf with more axes [..., m, n] is unfolded to [... m, n], so a convolution kernel
    [kh, kw, in, out] becomes [kh kw in, out]. A vector is one column, so its step has a length of about lr along its
    momentum. Differs from Jordan, who trains vectors, scalars, embeddings and the last layer with AdamW, and whose code
    iterates in bfloat16.

    Source: Jordan (2024).

    >>> rule = muon(lr=0.5)
    >>> updates, state = rule.update(3.0, rule.init(1.0))
    >>> round(float(updates), 3)
    -0.348
    """

    def formula(g: Array, velocity: Array, *, lr: Array, beta: Array, eps: Array) -> Array:
        m = unfold(g + beta * velocity if nesterov else velocity)
        rows, columns = m.shape
        scale = max(1.0, columns / max(rows, 1)) ** 0.5
        return -lr * scale * _orthogonalised(m, eps).reshape(g.shape)

    def update(
        grads: Grads, state: VelocityState, params: Params | None = None, **extra: Any
    ) -> tuple[Updates, VelocityState]:
        velocity = update_velocity(grads, state.velocity, beta=beta)
        return each(formula, grads, velocity, lr=lr, beta=beta, eps=eps), VelocityState(velocity)

    return Rule(init_velocity, update)


def _orthogonalised(m: Array, eps: Array) -> Array:
    """Five steps of the iteration, for the wider of m and its transpose."""
    rows, columns = m.shape
    if rows > columns:
        return _orthogonalised(m.T, eps).T
    size = norm(m).astype(m.dtype) + eps
    x = m / jnp.where(size > 0, size, 1)  # both eps and m may be 0
    for _ in range(_STEPS):
        square = matmul(x, x.T)
        x = _A * x + matmul(_B * square + _C * matmul(square, square), x)
    return x
