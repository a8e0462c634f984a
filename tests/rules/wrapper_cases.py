"""Gradients, parameters and comparisons shared by the tests of wrappers and `by_path`."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.rules.rule_cases import gradients, trajectory

G, X = (jnp.asarray(rows, jnp.float32) for rows in gradients(12))
TREE = {"layers": {"0": {"kernel": X, "bias": X[0]}, "1": {"kernel": 2 * X, "bias": -X[1]}}, "scale": X[1, 2]}


def updates(rule, grads=G, x=X):
    """The updates [12, 2, 3] of a rule."""
    return trajectory(rule, x, grads=grads)[0]


def same(left, right, rtol=1e-6, atol=1e-12):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), left, right)
