"""A quadratic in any number of dimensions, with a given spectrum."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from gdlab import register
from gdlab.problems.precision import as_float
from gdlab.types import Array, Params, Problem


@register.problem("quadratic", source="Polyak, 1964; Goh, Why Momentum Really Works, Distill, 2017")
def quadratic(
    spectrum: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0),
    rotation_seed: int | None = 0,
    start_radius: float = 1.0,
    shift: float = 0.0,
) -> Problem:
    """Quadratic bowl of a given spectrum: f = 1/2 (x - x*)' H (x - x*), H = Q diag(spectrum) Q'.

    Params are one array [n], n = len(spectrum). Q is a random orthogonal matrix, uniform over all of them, fixed by
    `rotation_seed`, or the identity if `rotation_seed` is None. Without a rotation the eigenvectors are the coordinate
    axes, which favours rules that scale each coordinate. x* = shift (1, ..., 1). The initial point is uniform on the
    sphere of radius `start_radius` about x*.

    Facts: `hessian` [n, n], `smoothness` max(spectrum), `strong_convexity` min(spectrum), `minimum` 0, `minimisers`
    [1, n]; the last two hold for a spectrum without negative values.

    Raises:
        ValueError: an empty spectrum.

    Source: Polyak (1964); the default spectrum is that of Goh (2017).
    """
    eigenvalues = as_float(spectrum)
    n = eigenvalues.shape[0]
    if n == 0:
        raise ValueError("a quadratic needs at least one eigenvalue in its spectrum")
    best = jnp.broadcast_to(as_float(shift), (n,))
    rotation = None if rotation_seed is None else as_float(_rotation(n, rotation_seed))

    def init(key: Array) -> Params:
        normal = jax.random.normal(key, (n,), best.dtype)
        return best + as_float(start_radius) * normal / jnp.linalg.norm(normal)

    def loss(params: Params, batch: object) -> Array:
        offset = params - best.astype(params.dtype)
        # In the coordinates of the eigenvectors, runs with different spectra can share one matrix product.
        if rotation is not None:
            offset = offset @ rotation.astype(params.dtype)
        return 0.5 * jnp.sum(eigenvalues.astype(params.dtype) * offset**2)

    q = jnp.eye(n, dtype=best.dtype) if rotation is None else rotation
    facts = {
        "minimum": 0.0,
        "minimisers": best[None],
        "hessian": (q * eigenvalues[None]) @ q.T,
        "smoothness": eigenvalues.max(),
        "strong_convexity": eigenvalues.min(),
    }
    return Problem(init=init, loss=loss, facts=facts)


@functools.cache
def _rotation(n: int, seed: int) -> np.ndarray:
    """A draw from the uniform (Haar) distribution on the orthogonal n by n matrices (Mezzadri, 2007)."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))
    q = q * np.sign(np.diag(r))
    q.setflags(write=False)
    return q
