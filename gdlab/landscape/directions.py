"""Directions in parameter space, and their normalisation.

A direction is any pytree like the params: a gradient, an eigenvector, a difference of params, or a part of the state of
a rule (`state.velocity` of momentum).
"""

from collections.abc import Callable, Hashable
from typing import Literal, get_args

import jax
import jax.numpy as jnp

from gdlab.landscape.flats import reciprocal
from gdlab.pytrees import norm, precision
from gdlab.types import Array, Params, PyTree

Normalise = Literal["filter", "layer", "tensor", "none"]


def normalised(direction: PyTree, params: Params, normalise: Normalise = "filter", *, biases: bool = False) -> PyTree:
    """A direction d scaled, part by part, to the norm of the weights w.

    d_p <- d_p |w_p| / |d_p| for each part p. The parts are

    - "filter": the weights of one output (Li et al. 2018, section 4). Outputs are the last axis of a leaf, as in flax;
      a leaf with fewer than two axes is one filter.
    - "layer": all leaves with the same parent node, if it is a mapping; each item of a list or tuple is a separate
      layer. (What the code of Li et al. calls "layer" is "tensor" here.)
    - "tensor": each leaf.
    - "none": d is returned unchanged, biases included.

    As in the code of the paper, the direction is zero for biases (leaves with fewer than two axes), unless
    `biases=True` or "none". It is zero for a part whose weights or direction are zero.

    Raises:
        ValueError: an unknown `normalise`; or the direction would be zero because all leaves are biases.

    Source: Li, Xu, Taylor, Studer, Goldstein (2018). https://arxiv.org/abs/1712.09913
    """
    if normalise not in get_args(Normalise):
        raise ValueError(f"normalise must be one of {', '.join(get_args(Normalise))}, not {normalise!r}")
    if normalise == "none":
        return direction
    d, w = (
        jax.tree.leaves(without_biases(direction, params, biases)),
        jax.tree.leaves(without_biases(params, params, biases)),
    )
    parts: list[Hashable] = _layers(params) if normalise == "layer" else list(range(len(w)))
    # One filter: all axes but the last. One layer, one tensor, or a leaf without filters: all axes.
    axes = [tuple(range(x.ndim - 1)) if normalise == "filter" and x.ndim > 1 else None for x in w]
    of_d, of_w = _squares(d, parts, axes), _squares(w, parts, axes)
    scales = [_root(of_w[part]) * reciprocal(_root(of_d[part])) for part in parts]
    scaled = [(x.astype(scale.dtype) * scale).astype(x.dtype) for x, scale in zip(d, scales, strict=True)]
    return jax.tree.unflatten(jax.tree.structure(params), scaled)


def without_biases(tree: PyTree, params: Params, biases: bool = False) -> PyTree:
    """The tree with zeros at the biases (leaves of params with fewer than two axes); unchanged if `biases` is true.

    Raises:
        ValueError: all leaves are biases.
    """
    if biases:
        return tree
    if all(jnp.ndim(leaf) < 2 for leaf in jax.tree.leaves(params)):
        raise ValueError(
            "every leaf counts as a bias, so the direction would be zero: pass normalise='none' or biases=True"
        )
    return jax.tree.map(lambda x, w: x if jnp.ndim(w) > 1 else jnp.zeros_like(x), tree, params)


def unit(direction: PyTree) -> PyTree:
    """The direction divided by its norm over all leaves; zero stays zero."""
    scale = reciprocal(norm(direction))
    return jax.tree.map(lambda x: (x.astype(scale.dtype) * scale).astype(x.dtype), direction)


def between(a: Params, b: Params) -> PyTree:
    """The direction from a to b, b - a."""
    return jax.tree.map(jnp.subtract, b, a)


def gradient_direction(loss: Callable[[Params], Array], params: Params) -> PyTree:
    """The direction of steepest ascent, g / |g| with g the gradient of `loss(params)`; zero if g is zero."""
    return unit(jax.grad(loss)(params))


def _layers(params: Params) -> list[Hashable]:
    """The key of the layer of each leaf."""
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(params)[0]]
    listed = (jax.tree_util.SequenceKey, jax.tree_util.FlattenedIndexKey)
    return [path if not path or isinstance(path[-1], listed) else path[:-1] for path in paths]


def _squares(leaves: list[Array], parts: list[Hashable], axes: list[tuple[int, ...] | None]) -> dict[Hashable, Array]:
    """The sum of squares of each part; for filters an array over the last axis that broadcasts with the leaf."""
    dtype = precision(leaves)
    sums: dict[Hashable, Array] = {}
    for leaf, part, over in zip(leaves, parts, axes, strict=True):
        wide = leaf.astype(dtype)
        square = jnp.sum(wide * wide, axis=over, keepdims=over is not None)
        sums[part] = sums[part] + square if part in sums else square
    return sums


def _root(square: Array) -> Array:
    """The square root, with gradient 0 at 0; propagates NaN."""
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), square)
