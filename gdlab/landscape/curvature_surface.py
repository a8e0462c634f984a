"""Extreme Hessian eigenvalues on a plane."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp

from gdlab.curvature import hessian_product, top
from gdlab.landscape.planes import Plane
from gdlab.landscape.surface_grids import Values, surface
from gdlab.types import Array, Params

if TYPE_CHECKING:
    import xarray


def curvature_surface(
    loss: Callable[[Params], Array],
    plane: Plane,
    x: Values,
    y: Values,
    key: Array,
    *,
    steps: int | None = None,
    tolerance: float = 1e-3,
    **options: Any,
) -> "xarray.Dataset":
    """The extreme eigenvalues of the full Hessian at each cell of a plane, and their ratio, over the dims (y, x).

    A surface of the loss shows the curvature in two directions only. If |smallest / largest| is near 0, the loss is
    nearly convex there in all directions; otherwise there are directions of negative curvature that the surface may not
    show.

    Args:
        loss: `loss(params) -> scalar`, on the same data at every cell.
        plane, x, y: the grid; see `gdlab.landscape.surface`.
        key: a PRNG key for the Lanczos start vector, which is the same at every cell.
        steps, tolerance: see `gdlab.curvature.top`.
        options: see `gdlab.evaluate`.

    Returns:
        A Dataset with `loss`; `largest` and `smallest`, the algebraically extreme eigenvalues; `ratio` =
        |smallest / largest| (0 if both are 0); `residual`, the larger of the two |H v - lambda v|; and `converged`,
        whether both have converged. The eigenvalues are NaN if the loss is not finite.

    Source: Li, Xu, Taylor, Studer, Goldstein (2018), "Are we really seeing convexity?". https://arxiv.org/abs/1712.09913
    """

    def measured(params: Params) -> dict[str, Array]:
        product = hessian_product(loss, params)
        high = top(product, params, 1, key, steps=steps, which="largest", tolerance=tolerance)
        low = top(product, params, 1, key, steps=steps, which="smallest", tolerance=tolerance)
        value = loss(params)
        # Derivatives can be finite where the loss is not, as for log below 0.
        largest, smallest = (jnp.where(jnp.isfinite(value), found.values[0], jnp.nan) for found in (high, low))
        zero = (largest == 0) & (smallest == 0)
        return {
            "loss": value,
            "largest": largest,
            "smallest": smallest,
            "ratio": jnp.where(zero, 0, jnp.abs(smallest) / jnp.abs(jnp.where(zero, 1, largest))),
            "residual": jnp.maximum(high.residuals[0], low.residuals[0]),
            "converged": high.converged[0] & low.converged[0],
        }

    return surface(measured, plane, x, y, **options)
