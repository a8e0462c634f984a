"""Products of curvature matrices with pytrees, by differentiating twice; no matrix is formed.

Each function linearises once, at `params`, and returns `matvec(v) -> A v`: v and A v are pytrees with the shapes and
dtypes of the params. A product is as accurate as a gradient in that dtype (on a GPU this depends on the matrix products
of the loss; use `jax.default_matmul_precision("highest")` for full float32).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gdlab.types import Array, Params, PyTree

Matvec = Callable[[PyTree], PyTree]


def hessian_product(loss: Callable[[Params], Array], params: Params) -> Matvec:
    """v -> H v, H the Hessian of `loss(params) -> scalar`, forward over reverse (Pearlmutter, 1994).

    One product costs two to three gradients. If the loss is piecewise smooth (ReLU), H is the Hessian of the piece that
    contains `params`.
    """
    _, tangent = jax.linearize(jax.grad(loss), _arrays(params))
    return tangent


def ggn_product(outputs: Callable[[Params], PyTree], criterion: Callable[[Any], Array], params: Params) -> Matvec:
    """v -> J' C J v: J the Jacobian of `outputs(params) -> z`, C the Hessian of `criterion(z) -> scalar` in z.

    The generalised Gauss-Newton matrix (Schraudolph, 2002) is the Hessian without the curvature of the outputs. It
    equals the Hessian if the outputs are linear in the params, and is positive semidefinite if the criterion is convex.

    It equals the true Fisher information, the mean over examples of E[g g'] with labels drawn from the model, if the
    criterion is the mean negative log-likelihood of an exponential family with natural parameters z: softmax or
    logistic cross-entropy of logits, or half the squared error (unit variance). The empirical Fisher
    (`fisher_product`), with the labels of the data, is a different matrix (Kunstner, Balles & Hennig, 2019).
    """
    at = _arrays(params)
    z, forward = jax.linearize(outputs, at)
    backward = jax.linear_transpose(forward, at)
    _, bend = jax.linearize(jax.grad(criterion), z)
    return lambda v: backward(bend(forward(v)))[0]


def fisher_product(losses: Callable[[Params], Array], params: Params) -> Matvec:
    """v -> 1/n sum_i g_i g_i' v, the empirical Fisher: g_i the gradient of the i-th of `losses(params) -> [n]`.

    The uncentred second moment of the gradients: their covariance plus the outer product of the mean gradient.
    """
    at = _arrays(params)
    values, forward = jax.linearize(losses, at)
    if values.ndim != 1:
        raise ValueError(f"losses must return one number per example, shape [n], not shape {values.shape}")
    backward = jax.linear_transpose(forward, at)
    return lambda v: backward(forward(v) / len(values))[0]


def _arrays(params: Params) -> Params:
    return jax.tree.map(jnp.asarray, params)
