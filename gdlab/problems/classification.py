"""The loss and the metric of classifiers."""

import jax
import jax.numpy as jnp

from gdlab.problems.precision import as_float
from gdlab.types import Array


def cross_entropy(logits: Array, labels: Array) -> Array:
    """The mean over examples of log(sum_k exp(z_k)) - z_y, in nats; logits z [n, classes], labels y [n] from 0."""
    # A masked sum in place of indexing: the gradient of indexing is a scatter, which is slow under vmap over runs.
    chosen = labels[:, None] == jnp.arange(logits.shape[1], dtype=labels.dtype)[None]
    return -jnp.mean(jnp.sum(jnp.where(chosen, jax.nn.log_softmax(logits, axis=1), 0), axis=1))


def accuracy(logits: Array, labels: Array) -> Array:
    """The fraction of examples whose label has the largest logit; among equal logits the first is the largest."""
    return jnp.mean(as_float(jnp.argmax(logits, axis=1).astype(labels.dtype) == labels))
