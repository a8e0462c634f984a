"""Matrix-vector products with the Hessian and the Gauss-Newton matrix over pytrees, by differentiating twice.

The problem is evaluated in the dtype of its parameters, so for half-precision parameters the products have only half
precision.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gdlab.rules.leafwise import each, narrow, widen
from gdlab.types import Array, Grads, Params, PyTree

Product = Callable[[PyTree], PyTree]


def hessian_product(grad_fn: Callable[[Params], Grads], params: Params) -> Product:
    """v -> H v, with H the Jacobian of `grad_fn` at `params`; v and H v have at least float32."""
    at = jax.tree.map(jnp.asarray, params)
    _, tangent = jax.linearize(grad_fn, at)
    return lambda v: widen(tangent(narrow(v, at)))


def gauss_newton_product(
    outputs_fn: Callable[[Params], PyTree], criterion_fn: Callable[[Any], Array], params: Params
) -> Product:
    """v -> J' C J v, with J the Jacobian of the outputs z at `params` and C the Hessian of the criterion in z.

    It is the Hessian without the curvature of the outputs; for a convex criterion it is positive semidefinite. For a
    criterion that is the negative log-likelihood of an exponential family with natural parameters z (half a squared
    error, softmax or logistic cross-entropy) it is the Fisher information.
    """
    at = jax.tree.map(jnp.asarray, params)
    z, forward = jax.linearize(outputs_fn, at)
    _, backward = jax.vjp(outputs_fn, at)
    _, curvature = jax.linearize(jax.grad(criterion_fn), z)
    return lambda v: widen(backward(curvature(forward(narrow(v, at))))[0])


def damped(product: Product, damping: Any) -> Product:
    """v -> (A + damping I) v."""
    return lambda v: each(lambda a, v, damping: a + damping * v, product(v), v, damping=damping)
