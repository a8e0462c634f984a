"""A function of the params on a grid of a line, a plane or a flat.

The params of a cell are computed inside the program, a chunk of cells at a time, and are not kept.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gdlab.engine.evaluate import evaluate
from gdlab.landscape.flats import Flat, point
from gdlab.landscape.planes import Plane, report
from gdlab.types import Array, Params, PyTree

if TYPE_CHECKING:
    import xarray

# `fn(params) -> scalar`, named `loss` in the result, or a dict of arrays by name. Pure; it closes over its data.
Measure: TypeAlias = Callable[[Params], Array | Mapping[str, Array]]
Values: TypeAlias = Sequence[float] | np.ndarray


def block(fn: Measure, flat: Flat, axes: Mapping[str, Values], **options: Any) -> "xarray.Dataset":
    """`fn` at every point of a grid on a flat, `centre + sum_i a_i d_i`.

    Args:
        fn: `fn(params) -> scalar` (named `loss` in the result) or a dict of arrays by name.
        flat: the affine subspace.
        axes: the name and the values of the coordinate of each direction, in order.
        options: see `gdlab.evaluate` (`chunk`, `progress`, `folder`, ...).

    Returns:
        A Dataset with the axes in reverse order as dims, so that the first direction varies fastest, as x in (y, x).
        Values that are not finite are kept.

    Raises:
        ValueError: the number of axes differs from the number of directions.
        gdlab.engine.space.SpaceError: an empty axis, or a result with the name of an axis.
    """
    names = tuple(axes)
    if len(names) != len(flat.directions):
        raise ValueError(f"a flat with {len(flat.directions)} directions needs as many axes, not {', '.join(names)}")

    def cell(**coordinates: Array) -> dict[str, Array]:
        return named(fn(point(flat, [coordinates[name] for name in names])))

    return evaluate(cell, {name: axes[name] for name in reversed(names)}, **options)


def line(fn: Measure, centre: Params, direction: PyTree, alphas: Values, **options: Any) -> "xarray.Dataset":
    """`fn` at `centre + alpha direction`, over the dim alpha; see `block`."""
    return block(fn, Flat(centre, (direction,)), {"alpha": alphas}, **options)


def surface(fn: Measure, plane: Plane, x: Values, y: Values, **options: Any) -> "xarray.Dataset":
    """`fn` at `centre + x u + y v`, over the dims (y, x); see `block`.

    Returns:
        A Dataset with the attributes `norm_u`, `norm_v` and `cosine` of the plane (see `gdlab.landscape.report`).
    """
    data = block(fn, plane.flat, {"x": x, "y": y}, **options)
    return data.assign_attrs({name: float(value) for name, value in report(plane).items()})


def named(measured: Any) -> dict[str, Array]:
    """The result of `fn` as a dict of arrays by name; a single array is named `loss`."""
    return dict(measured) if isinstance(measured, Mapping) else {"loss": measured}
