"""The batches of a task, which are the same for all contestants: those that the lab's own sweep draws for seed 0."""

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.bench.task import Task

SEED = 0


def batch_key() -> jax.Array:
    """What the batches are drawn from; a sweep splits its seed's key in three, for the start, the batches, the rest."""
    return jax.random.split(jax.random.key(SEED), 3)[1]


def rows(task: Task, key: jax.Array, step: jax.Array) -> jax.Array:
    """The examples that a step sees, int32 [batch_size], drawn with replacement."""
    assert task.data is not None
    assert task.batch_size is not None
    return jax.random.randint(jax.random.fold_in(key, step), (task.batch_size,), 0, len(task.data[0]))


def all_rows(task: Task) -> np.ndarray:
    """Those of every step, int64 [steps, batch_size], for frameworks that can't draw them themselves."""
    draw = jax.jit(jax.vmap(lambda step: rows(task, batch_key(), step)))
    return np.asarray(draw(jnp.arange(task.steps))).astype(np.int64)
