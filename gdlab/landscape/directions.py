"""Directions in parameter space, and their scale.

A direction is any pytree like the params: the gradient, an eigenvector, the way from one point to another, or what a
rule keeps in its state (`state.velocity` of momentum), all as they are.
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
    """A direction d scaled, part by part, to the length of the weights w.

    d_p <- d_p |w_p| / |d_p| for each part p, where the parts are

    - "filter": the weights that lead to one output (Li et al. 2018, section 4). Outputs are the last axis of a leaf, as
      in flax; a leaf with fewer than two axes is one filter.
    - "layer": all leaves of one layer together, which are those with one parent in the pytree, under names; an item of
      a list or tuple is a layer of its own. (In the code of Li et al. "layer" is what "tensor" is here.)
    - "tensor": each leaf.
    - "none": d stays as it is, biases and all.

    As in the paper's code, biases (leaves with fewer than two axes) do not move, unless `biases=True` or "none". A part
    whose weights or whose direction are zero stays zero.

    Raises:
        ValueError: another `normalise`; or no leaf would move.

    Source: Li, Xu, Taylor, Studer, Goldstein (2018). https://arxiv.org/abs/1712.09913
    """
    if normalise not in get_args(Normalise):
        raise ValueError(f"normalise is one of {', '.join(get_args(Normalise))}, not {normalise!r}")
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
    """The tree with zeros for the leaves at which the params have fewer than two axes; as it is, if `biases` move.

    Raises:
        ValueError: nothing is left.
    """
    if biases:
        return tree
    if all(jnp.ndim(leaf) < 2 for leaf in jax.tree.leaves(params)):
        raise ValueError("every leaf counts as a bias and none would move: pass normalise='none' or biases=True")
    return jax.tree.map(lambda x, w: x if jnp.ndim(w) > 1 else jnp.zeros_like(x), tree, params)


def unit(direction: PyTree) -> PyTree:
    """The direction at unit length over all leaves together; zero stays zero."""
    scale = reciprocal(norm(direction))
    return jax.tree.map(lambda x: (x.astype(scale.dtype) * scale).astype(x.dtype), direction)


def between(a: Params, b: Params) -> PyTree:
    """The direction from one point to another, b - a: between two solutions, or two successive points of a run."""
    return jax.tree.map(jnp.subtract, b, a)


def gradient_direction(loss: Callable[[Params], Array], params: Params) -> PyTree:
    """The direction of steepest ascent, g / |g| with g the gradient of `loss(params)`; zero where g is."""
    return unit(jax.grad(loss)(params))


def _layers(params: Params) -> list[Hashable]:
    """For each leaf, what names its layer."""
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(params)[0]]
    listed = (jax.tree_util.SequenceKey, jax.tree_util.FlattenedIndexKey)
    return [path if not path or isinstance(path[-1], listed) else path[:-1] for path in paths]


def _squares(leaves: list[Array], parts: list[Hashable], axes: list[tuple[int, ...] | None]) -> dict[Hashable, Array]:
    """The sum of squares of each part; of filters as many as the last axis has, in a shape that goes with the leaf."""
    dtype = precision(leaves)
    sums: dict[Hashable, Array] = {}
    for leaf, part, over in zip(leaves, parts, axes, strict=True):
        wide = leaf.astype(dtype)
        square = jnp.sum(wide * wide, axis=over, keepdims=over is not None)
        sums[part] = sums[part] + square if part in sums else square
    return sums


def _root(square: Array) -> Array:
    """The square root, with a gradient of zero at zero; NaN comes through."""
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), square)
