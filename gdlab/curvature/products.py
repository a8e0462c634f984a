"""Products of curvature matrices with trees, by differentiating twice; no matrix is ever formed.

Each function linearises once, at `params`, and returns `matvec(v) -> A v`: v and A v are pytrees like the params, of
the same shapes and dtypes. A product is as exact as gradients are in that dtype (on a GPU, as the matrix products of
the loss: `jax.default_matmul_precision("highest")` where float32 is to mean float32).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gdlab.types import Array, Params, PyTree

Matvec = Callable[[PyTree], PyTree]


def hessian_product(loss: Callable[[Params], Array], params: Params) -> Matvec:
    """v -> H v, H the Hessian of `loss(params) -> scalar`, forward over reverse (Pearlmutter, 1994).

    One product costs two to three gradients, whatever the number of parameters. Where the loss has kinks (ReLU), H is
    that of the smooth piece on which `params` lies.
    """
    _, tangent = jax.linearize(jax.grad(loss), _arrays(params))
    return tangent


def ggn_product(outputs: Callable[[Params], PyTree], criterion: Callable[[Any], Array], params: Params) -> Matvec:
    """v -> J' C J v: J the Jacobian of `outputs(params) -> z`, C the Hessian of `criterion(z) -> scalar` in z.

    The generalised Gauss-Newton matrix (Schraudolph, 2002): the Hessian without the curvature of the outputs, so it is
    the Hessian where the outputs are linear in the params, and positive semidefinite where the criterion is convex.

    It equals the true Fisher information, E over labels drawn from the model of the mean over examples of g g', where
    the criterion is the mean of minus the log-likelihoods of an exponential family whose natural parameters are z:
    softmax or logistic cross-entropy of logits, half a squared error (unit variance). The empirical Fisher
    (`fisher_product`), with the labels of the data, is another matrix (Kunstner, Balles & Hennig, 2019).
    """
    at = _arrays(params)
    z, forward = jax.linearize(outputs, at)
    backward = jax.linear_transpose(forward, at)
    _, bend = jax.linearize(jax.grad(criterion), z)
    return lambda v: backward(bend(forward(v)))[0]


def fisher_product(losses: Callable[[Params], Array], params: Params) -> Matvec:
    """v -> 1/n sum_i g_i g_i' v, the empirical Fisher: g_i the gradient of the i-th of `losses(params) -> [n]`.

    The second moment of the gradients, not centred: their covariance plus the outer product of the mean gradient.
    """
    at = _arrays(params)
    values, forward = jax.linearize(losses, at)
    if values.ndim != 1:
        raise ValueError(f"the losses must be one array [n], a number for each example, not of shape {values.shape}")
    backward = jax.linear_transpose(forward, at)
    return lambda v: backward(forward(v) / len(values))[0]


def _arrays(params: Params) -> Params:
    return jax.tree.map(jnp.asarray, params)
