"""Symmetric matrices of a known spectrum, and a small network with its float64 references in NumPy."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gdlab.curvature import dense, lanczos, ritz


def symmetric(eigenvalues, seed=0):
    """Q diag(eigenvalues) Q' for a random orthogonal Q, in float64."""
    values = np.asarray(eigenvalues, np.float64)
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values), len(values))))
    return (q * values) @ q.T


def product(matrix):
    """v -> A v on vectors, in JAX's default precision."""
    a = jnp.asarray(matrix, jnp.result_type(float))
    return lambda v: a @ v


def like(matrix):
    return jnp.zeros(len(matrix), jnp.result_type(float))


def written(make, params):
    """The matrix of `make(params)`, compiled as a whole."""
    return np.asarray(jax.jit(lambda params: dense(make(params), params))(params))


def process(matrix, start, steps):
    """The Lanczos process and its Ritz values and coordinates; one program for all matrices of one size."""
    return _process(jnp.asarray(matrix, start.dtype), start, steps)


@functools.partial(jax.jit, static_argnums=2)
def _process(matrix, start, steps):
    t = lanczos(lambda v: matrix @ v, start, steps)
    return t, *ritz(t)


def network(sizes=(4, 6, 3), examples=20, activation=jnp.tanh, seed=0):
    """A small classifier: (outputs, criterion, params)."""
    rng = np.random.default_rng(seed)
    x = jnp.asarray(rng.normal(size=(examples, sizes[0])), jnp.result_type(float))
    y = jax.nn.one_hot(jnp.asarray(rng.integers(sizes[-1], size=examples)), sizes[-1], dtype=x.dtype)
    params = {
        f"layer{i}": {
            "w": jnp.asarray(rng.normal(size=(inputs, outputs)) / inputs**0.5, x.dtype),
            "b": jnp.asarray(0.1 * rng.normal(size=outputs), x.dtype),
        }
        for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes))
    }

    def outputs(params):
        h = x
        for i in range(len(sizes) - 1):
            h = h @ params[f"layer{i}"]["w"] + params[f"layer{i}"]["b"][None]
            h = h if i == len(sizes) - 2 else activation(h)
        return h

    def criterion(z):
        return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(z, axis=1), axis=1))

    return outputs, criterion, params


def dense_hessian(loss, params):
    """The Hessian by `jax.hessian`, [d, d] in NumPy."""
    vector, unravel = ravel_pytree(params)
    return np.asarray(jax.jit(jax.hessian(lambda v: loss(unravel(v))))(vector))
