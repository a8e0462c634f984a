"""Spectral density of a matrix by stochastic Lanczos quadrature."""

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
    """A distribution of eigenvalues: for each probe a sum of point masses.

    Attributes:
        nodes: [probes, steps], the positions of the masses, in units of eigenvalues.
        weights: [probes, steps], the masses; those of a probe sum to 1.
    """

    nodes: Array
    weights: Array


def spectral_density(matvec: Matvec, like: PyTree, key: Array, steps: int, probes: int) -> Density:
    """An estimate of 1/d sum_i delta(lambda - lambda_i) by stochastic Lanczos quadrature.

    For each probe, a Rademacher vector v, `steps` Lanczos steps from v / |v| give T. The nodes are the eigenvalues of
    T, the weights the squared first entries of its eigenvectors. For each probe sum_j weights_j nodes_j^p =
    v'A^p v / v'v up to p = 2 steps - 1 (Golub & Meurant, 1994); its expectation over probes is trace(A^p) / d. With the
    same key, the mean of sum_j weights_j nodes_j is `trace(matvec, like, key, probes)` / d.

    If the process breaks down early (see `lanczos`), the remaining nodes have weight 0 and equal the largest node of
    that probe. A probe whose products are not finite is NaN.

    Takes `probes` times `steps` products.

    Source: Lin, Saad & Yang (2016); for networks Ghorbani, Krishnan & Xiao (2019).

    Args:
        matvec, like: see `top`.
        key: a PRNG key, for the probes.
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
    """The density at the points of a grid [m], convolved with a Gaussian: [m], per unit of eigenvalue.

    The mean over probes of sum_j weights_j N(grid; nodes_j, width^2); it integrates to 1 over the real line. `width` is
    the standard deviation of the Gaussian in units of eigenvalues and may be traced; a width that is not positive gives
    NaN.
    """
    grid = jnp.asarray(grid, density.nodes.dtype)
    width = jnp.asarray(width, density.nodes.dtype)
    width = jnp.where(width > 0, width, jnp.nan)
    z = (grid[:, None] - density.nodes.ravel()[None]) / width
    peaks = jnp.exp(-0.5 * z**2) / (width * (2 * jnp.pi) ** 0.5)
    return jnp.sum(peaks * density.weights.ravel()[None], axis=1) / len(density.nodes)
