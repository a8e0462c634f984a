"""Random directions, scaled to the weights (Li, Xu, Taylor, Studer, Goldstein, 2018).
https://arxiv.org/abs/1712.09913"""

import jax

from gdlab.landscape.directions import Normalise, normalised
from gdlab.landscape.planes import Plane
from gdlab.landscape.spanned import plane_of
from gdlab.types import Array, Params, PyTree


def random_direction(key: Array, params: Params, normalise: Normalise = "filter", *, biases: bool = False) -> PyTree:
    """A direction with entries drawn from N(0, 1), scaled to the weights; see `normalised`."""
    return normalised(_drawn(key, params), params, normalise, biases=biases)


def random_plane(
    key: Array,
    params: Params,
    normalise: Normalise = "filter",
    *,
    biases: bool = False,
    orthogonalise: bool = False,
) -> Plane:
    """The plane through `params` along two Gaussian directions, scaled to the weights (Li et al. 2018, section 4).

    The entries of a direction are drawn from N(0, 1) and scaled; see `normalised`. With "filter", networks that differ
    by a rescaling of layers have the same surface. As in the paper, `v` is by default not orthogonal to `u`:
    `cosine(plane)` is about 1/sqrt(d) for d weights.

    Args:
        key: a PRNG key; the same key and shapes give the same directions.
        params: the centre.
        normalise, biases: see `normalised`.
        orthogonalise: see `plane_of`.

    Raises:
        ValueError: see `normalised`.
    """
    first, second = jax.random.split(key)
    u, v = _drawn(first, params), _drawn(second, params)
    return plane_of(params, u, v, orthogonalise=orthogonalise, normalise=normalise, biases=biases)


def _drawn(key: Array, params: Params) -> PyTree:
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    drawn = [jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, drawn)
