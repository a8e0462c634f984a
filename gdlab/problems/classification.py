"""What classifiers are trained on and judged by."""

import jax
import jax.numpy as jnp

from gdlab.problems.precision import as_float
from gdlab.types import Array


def cross_entropy(logits: Array, labels: Array) -> Array:
    """The mean over examples of log(sum_k exp(z_k)) - z_y, in nats; logits z [n, classes], labels y [n] from 0."""
    # A sum over a mask, not an index: the gradient of an index is a scatter, slow once it is vmapped over runs.
    chosen = labels[:, None] == jnp.arange(logits.shape[1], dtype=labels.dtype)[None]
    return -jnp.mean(jnp.sum(jnp.where(chosen, jax.nn.log_softmax(logits, axis=1), 0), axis=1))


def accuracy(logits: Array, labels: Array) -> Array:
    """The share of examples whose largest logit (the first of them, if several) is the label's."""
    return jnp.mean(as_float(jnp.argmax(logits, axis=1).astype(labels.dtype) == labels))
