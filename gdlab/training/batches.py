"""The examples of each step: all of them, or a batch that depends only on the seed and the step number.

Runs of one seed see the same batches, so hyperparameters are compared on equal data, and a run can resume at any step.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp

from gdlab.errors import did_you_mean
from gdlab.types import Array, Problem

Sampling = Literal["shuffle", "replacement"]


class Batches(NamedTuple):
    """`begin(step) -> order` and `take(order, step) -> (order, batch)`, for consecutive steps."""

    begin: Callable[[Array], Any]
    take: Callable[[Any, Array], tuple[Any, Any]]


def examples(problem: Problem) -> int | None:
    """The number of examples in the problem's data (the length of the leading axis); None without data.

    Raises:
        ValueError: the leaves of `data` differ in the length of their leading axis.
    """
    leaves = jax.tree.leaves(problem.data)
    if not leaves:
        return None
    sizes = {jnp.shape(leaf)[0] if jnp.ndim(leaf) else None for leaf in leaves}
    if len(sizes) > 1 or None in sizes:
        raise ValueError(f"the leaves of a problem's data must share their leading axis, but its lengths are {sizes}")
    return sizes.pop()


def batches(problem: Problem, key: Array, batch_size: int | None, sampling: Sampling) -> Batches:
    """The batches of the runs of one seed.

    `batch_size` None is batch gradient descent: every step sees all examples. Otherwise, with n examples, "shuffle"
    draws a new random order for each epoch of floor(n / batch_size) steps; the n mod batch_size examples at the end of
    the order are not seen in that epoch. "replacement" draws each example of each batch independently.

    Raises:
        ValueError: `batch_size` below 1 or larger than the data, a batch size for a problem without data, no batch size
            for a problem with a stream, or an unknown `sampling`.
    """
    if sampling not in get_args(Sampling):
        hint = did_you_mean(str(sampling), get_args(Sampling))
        raise ValueError(
            f"sampling must be 'shuffle' or 'replacement', not {sampling!r}" + (f"; {hint}" if hint else "")
        )
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    if problem.sample is not None:
        if batch_size is None:
            raise ValueError("a problem that draws its examples from a stream needs a batch_size")
        sample, size = problem.sample, batch_size
        return Batches(lambda step: (), lambda order, step: (order, sample(jax.random.fold_in(key, step), step, size)))
    n = examples(problem)
    if batch_size is None:
        return Batches(lambda step: (), lambda order, step: (order, problem.data))
    if n is None:
        raise ValueError(f"batch_size is {batch_size}, but the problem has no data to take a batch from")
    if batch_size > n:
        raise ValueError(f"batch_size is {batch_size}, but the data hold only {n} examples")
    if sampling == "replacement":
        return Batches(
            lambda step: (),
            lambda order, step: (
                order,
                _pick(problem, jax.random.randint(jax.random.fold_in(key, step), (batch_size,), 0, n)),
            ),
        )
    per_epoch = n // batch_size

    def take(held: tuple[Array, Array], step: Array) -> tuple[tuple[Array, Array], Any]:
        epoch = step // per_epoch
        # All runs are at the same step, so under vmap this remains a branch and the sort runs once per epoch.
        order = jax.lax.cond(
            epoch == held[0],
            lambda: held[1],
            # Sorting random 32-bit words gives a random order. Ties are too rare to matter, and the program is half the
            # size of `jax.random.permutation`.
            lambda: jnp.argsort(jax.random.bits(jax.random.fold_in(key, epoch), (n,))).astype(jnp.int32),
        )
        return (epoch, order), _pick(
            problem, jax.lax.dynamic_slice_in_dim(order, step % per_epoch * batch_size, batch_size)
        )

    return Batches(lambda step: (jnp.asarray(-1, jnp.int32), jnp.zeros(n, jnp.int32)), take)


def _pick(problem: Problem, indices: Array) -> Any:
    return jax.tree.map(lambda leaf: jnp.take(jnp.asarray(leaf), indices, axis=0, mode="clip"), problem.data)
