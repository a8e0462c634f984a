"""The density of a matrix's eigenvalues, by stochastic Lanczos quadrature."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gdlab.curvature.flat_operator import flat
from gdlab.curvature.lanczos import lanczos
from gdlab.curvature.probing import signs
from gdlab.curvature.products import Matvec
from gdlab.curvature.ritz import ritz
from gdlab.types import Array, PyTree


class Density(NamedTuple):
    """A distribution of eigenvalues, as one of point masses for each probe.

    Attributes:
        nodes: [probes, steps], where the masses are, in eigenvalues' units.
        weights: [probes, steps], how large they are; those of a probe sum to 1.
    """

    nodes: Array
    weights: Array


def spectral_density(matvec: Matvec, like: PyTree, key: Array, steps: int, probes: int) -> Density:
    """An estimate of 1/d sum_i delta(lambda - lambda_i) by stochastic Lanczos quadrature.

    For each probe v, signs at random, `steps` Lanczos steps from v / |v| give T; the nodes are its eigenvalues, and the
    weights the squared first entries of its eigenvectors. For each probe sum_j weights_j nodes_j^p = v'A^p v / v'v up
    to p = 2 steps - 1 (Golub & Meurant, 1994), whose mean over probes is trace(A^p) / d. With one key, the mean of
    sum_j weights_j nodes_j is `trace(matvec, like, key, probes)` / d.

    Where the process ends early (see `lanczos`), the nodes left over have no weight and stand at that probe's largest
    node. A probe whose products are not finite is NaN.

    `probes` times `steps` products.

    Source: Lin, Saad & Yang (2016); for networks Ghorbani, Krishnan & Xiao (2019).

    Args:
        matvec, like: see `top`.
        key: random; draws the probes.
        steps, probes: static.

    Raises:
        ValueError: less than one step or probe.
    """
    operator = flat(matvec, like)

    def quadrature(key: Array) -> tuple[Array, Array]:
        t = lanczos(operator.matvec, signs(key, operator), steps)
        values, coordinates = ritz(t)
        live = jnp.arange(steps) < t.live
        nodes = jnp.where(live, values, values[t.live - 1])
        weights = jnp.where(live, coordinates[0] ** 2, 0)
        return nodes, jnp.where(jnp.isnan(nodes), jnp.nan, weights)

    if probes < 1:
        raise ValueError(f"a density needs at least one probe, not {probes}")
    return Density(*jax.lax.map(quadrature, jax.random.split(key, probes)))


def smoothed(density: Density, grid: Array, width: Any) -> Array:
    """The density at the points of a grid [m], each mass spread as a Gaussian: [m], per unit of eigenvalue.

    The mean over probes of sum_j weights_j N(grid; nodes_j, width^2); over the whole line it integrates to 1. `width`
    is the Gaussian's standard deviation in eigenvalues' units, and may be traced; where it is not positive, the result
    is NaN.
    """
    grid = jnp.asarray(grid, density.nodes.dtype)
    width = jnp.asarray(width, density.nodes.dtype)
    width = jnp.where(width > 0, width, jnp.nan)
    z = (grid[:, None] - density.nodes.ravel()[None]) / width
    peaks = jnp.exp(-0.5 * z**2) / (width * (2 * jnp.pi) ** 0.5)
    return jnp.sum(peaks * density.weights.ravel()[None], axis=1) / len(density.nodes)
