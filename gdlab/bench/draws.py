"""The batches of a task, the same for all contestants: the batches of `gdlab.sweep` for seed 0."""

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.bench.task import BenchTask

SEED = 0


def batch_key() -> jax.Array:
    """The key of the batches; a sweep splits the key of a seed into three, for init, batches and the rest."""
    return jax.random.split(jax.random.key(SEED), 3)[1]


def rows(task: BenchTask, key: jax.Array, step: jax.Array) -> jax.Array:
    """The indices of the examples of a step, int32 [batch_size], drawn with replacement."""
    assert task.data is not None
    assert task.batch_size is not None
    return jax.random.randint(jax.random.fold_in(key, step), (task.batch_size,), 0, len(task.data[0]))


def all_rows(task: BenchTask) -> np.ndarray:
    """The indices of all steps, int64 [steps, batch_size], for frameworks that do not have JAX's random generator."""
    draw = jax.jit(jax.vmap(lambda step: rows(task, batch_key(), step)))
    return np.asarray(draw(jnp.arange(task.steps))).astype(np.int64)
