"""Filter-normalised random directions (Li, Xu, Taylor, Studer, Goldstein, 2018). https://arxiv.org/abs/1712.09913"""

from typing import Literal, get_args

import jax
import jax.numpy as jnp

from gdlab.landscape.planes import Plane
from gdlab.types import Array, Params, PyTree

Normalise = Literal["filter", "layer", "none"]


def random_plane(key: Array, params: Params, normalise: Normalise = "filter", *, biases: bool = False) -> Plane:
    """The plane through `params` along two Gaussian directions, scaled to the weights (Li et al. 2018, section 4).

    Every entry of a direction d is drawn from N(0, 1); then, with w the params,

    - "filter": d_f <- d_f |w_f| / |d_f| for each filter f: all weights that lead to one output. Outputs are the last
      axis of a leaf, as in flax. The slice is then the same for two networks that differ by a rescaling of layers.
    - "layer": d_l <- d_l |w_l| / |d_l| for each leaf l.
    - "none": as drawn.

    As in the paper's code, biases (leaves with fewer than two axes) do not move under "filter" and "layer", unless
    `biases=True`: then each is one filter. A filter that is zero stays zero. As in the paper, `v` is not made
    orthogonal to `u`: `cosine(plane)` says how nearly it is, about 1/sqrt(d) for d weights.

    Args:
        key: random; the same key and shapes give the same directions.
        params: the centre.
        normalise: see above.
        biases: whether leaves with fewer than two axes move.

    Raises:
        ValueError: another `normalise`; or no leaf would move.
    """
    if normalise not in get_args(Normalise):
        raise ValueError(f"normalise is one of {', '.join(get_args(Normalise))}, not {normalise!r}")
    leaves, structure = jax.tree.flatten(params)
    if normalise != "none" and not biases and all(leaf.ndim < 2 for leaf in leaves):
        raise ValueError("every leaf counts as a bias and none would move: pass normalise='none' or biases=True")

    def direction(key: Array) -> PyTree:
        keys = jax.random.split(key, len(leaves))
        return jax.tree.unflatten(structure, [scaled(k, leaf) for k, leaf in zip(keys, leaves, strict=True)])

    def scaled(key: Array, weights: Array) -> Array:
        d = jax.random.normal(key, weights.shape, weights.dtype)
        if normalise == "none":
            return d
        if weights.ndim < 2 and not biases:
            return jnp.zeros_like(d)
        # One filter: all axes but the last. One layer, or a leaf without filters: all axes.
        axes = tuple(range(weights.ndim - 1)) if normalise == "filter" and weights.ndim > 1 else None
        return d * (_length(weights, axes) / _length(d, axes))

    first, second = jax.random.split(key)
    return Plane(params, direction(first), direction(second))


def _length(x: Array, axes: tuple[int, ...] | None) -> Array:
    """The Euclidean norm over some axes, which are kept; its gradient at zero is zero."""
    square = jnp.sum(x * x, axis=axes, keepdims=True)
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), 0)
