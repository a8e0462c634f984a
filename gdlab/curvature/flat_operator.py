"""Linear operators on pytrees as linear operators on flat vectors."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gdlab.curvature.products import Matvec
from gdlab.pytrees import precision
from gdlab.types import Array, PyTree


class FlatOperator(NamedTuple):
    """A matrix on vectors [d], and the conversions between vectors and pytrees.

    Attributes:
        matvec: [d] -> [d].
        size: d, the number of entries of the pytree.
        dtype: the dtype of the vectors, `gdlab.pytrees.precision` of the pytree.
        ravel: pytree -> [d], in the order of `jax.flatten_util.ravel_pytree`.
        unravel: [d] -> pytree, each leaf in its own dtype.
    """

    matvec: Callable[[Array], Array]
    size: int
    dtype: type
    ravel: Callable[[PyTree], Array]
    unravel: Callable[[Array], PyTree]


def flat(matvec: Matvec, like: PyTree) -> FlatOperator:
    """A matrix on pytrees of arrays like `like`, as a matrix on vectors.

    Raises:
        ValueError: the pytree has no entries.
    """
    leaves, structure = jax.tree.flatten(like)
    shapes = [(jnp.shape(leaf), jnp.asarray(leaf).dtype) for leaf in leaves]
    ends = [sum(math.prod(shape) for shape, _ in shapes[: i + 1]) for i in range(len(shapes))]
    if not ends or ends[-1] == 0:
        raise ValueError("the params are empty, so they have no curvature matrix")
    dtype = precision(leaves)

    def ravel(tree: PyTree) -> Array:
        return jnp.concatenate([jnp.asarray(leaf).ravel().astype(dtype) for leaf in jax.tree.leaves(tree)])

    def unravel(vector: Array) -> PyTree:
        parts = zip(jnp.split(vector, ends[:-1]), shapes, strict=True)
        return jax.tree.unflatten(structure, [part.reshape(shape).astype(kind) for part, (shape, kind) in parts])

    return FlatOperator(lambda v: ravel(matvec(unravel(v))), ends[-1], dtype, ravel, unravel)
