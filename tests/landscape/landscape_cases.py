"""Params, and params as vectors of float64, for the tests of landscapes."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np


def network(seed=0, sizes=(6, 5, 4), scale=1.0):
    """Params of a multilayer perceptron, with biases, as in `gdlab.problems.mlp`."""
    rng = np.random.default_rng(seed)
    draw = lambda *shape: jnp.asarray(scale * rng.normal(size=shape), jnp.result_type(float))
    return {
        "layers": {
            layer: {"bias": draw(outputs), "kernel": draw(inputs, outputs)}
            for layer, (inputs, outputs) in enumerate(itertools.pairwise(sizes))
        }
    }


def vector(params):
    """All entries of a pytree in float64, leaf by leaf."""
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(params)])
