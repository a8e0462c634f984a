"""Where on a plane a loss is nearly convex."""

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
    """The extreme eigenvalues of the whole Hessian at each cell of a plane, and their ratio, over the dims (y, x).

    A picture of the loss in two dimensions shows two of many curvatures. Where |smallest / largest| is near 0, no
    direction curves down by much and the picture may be trusted; where it is not, there are downward directions that
    the picture hides.

    Args:
        loss: `loss(params) -> scalar`, on the same data at every cell.
        plane, x, y: where.
        key: draws the start of the Lanczos process, the same at every cell.
        steps, tolerance: of the Lanczos process; see `gdlab.curvature.top`.
        options: of `gdlab.evaluate`.

    Returns:
        A Dataset with `loss`, `largest` and `smallest` (algebraically), `ratio` = |smallest / largest| (0 where both
        are 0), and of the two eigenvalues the larger `residual` |H v - lambda v|, and whether both `converged`. Where
        the loss is not finite there are no eigenvalues: NaN.

    Source: Li, Xu, Taylor, Studer, Goldstein (2018), "Are we really seeing convexity?". https://arxiv.org/abs/1712.09913
    """

    def measured(params: Params) -> dict[str, Array]:
        product = hessian_product(loss, params)
        high = top(product, params, 1, key, steps=steps, which="largest", tolerance=tolerance)
        low = top(product, params, 1, key, steps=steps, which="smallest", tolerance=tolerance)
        value = loss(params)
        # A formula may have derivatives where it has no value, as log does below 0.
        largest, smallest = (jnp.where(jnp.isfinite(value), found.values[0], jnp.nan) for found in (high, low))
        flat = (largest == 0) & (smallest == 0)
        return {
            "loss": value,
            "largest": largest,
            "smallest": smallest,
            "ratio": jnp.where(flat, 0, jnp.abs(smallest) / jnp.abs(jnp.where(flat, 1, largest))),
            "residual": jnp.maximum(high.residuals[0], low.residuals[0]),
            "converged": high.converged[0] & low.converged[0],
        }

    return surface(measured, plane, x, y, **options)
