"""Products of curvature matrices with trees, by differentiating twice; no matrix is ever formed.

At half-precision parameters the products are as coarse as the gradients there: a problem is asked in its own dtype.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gdlab.rules.leafwise import each, narrow, widen
from gdlab.types import Array, Grads, Params, PyTree

Product = Callable[[PyTree], PyTree]


def hessian_product(grad_fn: Callable[[Params], Grads], params: Params) -> Product:
    """v -> H v, H the Jacobian of the gradient at `params`; v and H v at least float32."""
    at = jax.tree.map(jnp.asarray, params)
    _, tangent = jax.linearize(grad_fn, at)
    return lambda v: widen(tangent(narrow(v, at)))


def gauss_newton_product(
    outputs_fn: Callable[[Params], PyTree], criterion_fn: Callable[[Any], Array], params: Params
) -> Product:
    """v -> J' C J v: J the Jacobian of the outputs z at `params`, C the Hessian of the criterion in z.

    It is the Hessian without the curvature of the outputs, and never indefinite for a convex criterion. Where the
    criterion is minus the log-likelihood of an exponential family with z its natural parameters (squared error,
    softmax or logistic cross-entropy), it is the Fisher information.
    """
    at = jax.tree.map(jnp.asarray, params)
    z, forward = jax.linearize(outputs_fn, at)
    _, backward = jax.vjp(outputs_fn, at)
    _, bend = jax.linearize(jax.grad(criterion_fn), z)
    return lambda v: widen(backward(bend(forward(narrow(v, at))))[0])


def damped(product: Product, damping: Any) -> Product:
    """v -> (A + damping I) v."""
    return lambda v: each(lambda a, v, damping: a + damping * v, product(v), v, damping=damping)
