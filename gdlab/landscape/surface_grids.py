"""A function of the params on the grid of a line, a plane or any flat.

The params of a cell are made inside the program, a chunk of cells at a time, and are never kept.
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

# `fn(params) -> scalar`, which is then called `loss`, or a dict of arrays by name. Pure; whatever data it needs it has.
Measure: TypeAlias = Callable[[Params], Array | Mapping[str, Array]]
Values: TypeAlias = Sequence[float] | np.ndarray


def block(fn: Measure, flat: Flat, axes: Mapping[str, Values], **options: Any) -> "xarray.Dataset":
    """`fn` at every point of a grid on a flat, `centre + sum_i a_i d_i`.

    Args:
        fn: what is measured, as a scalar (`loss` in the result) or a dict of arrays by name.
        flat: where.
        axes: for each direction, in order, the name and the values of its coordinate.
        options: of `gdlab.evaluate` (`chunk`, `progress`, `folder`, ...).

    Returns:
        A Dataset whose dims are the axes from the last to the first, so that the first direction varies fastest, as x
        does in (y, x). What is not finite stays so.

    Raises:
        ValueError: another number of axes than of directions.
        gdlab.engine.space.SpaceError: an empty axis, or a result named like an axis.
    """
    names = tuple(axes)
    if len(names) != len(flat.directions):
        raise ValueError(f"a flat of {len(flat.directions)} directions needs as many axes, not {', '.join(names)}")

    def cell(**coordinates: Array) -> dict[str, Array]:
        return named(fn(point(flat, [coordinates[name] for name in names])))

    return evaluate(cell, {name: axes[name] for name in reversed(names)}, **options)


def line(fn: Measure, centre: Params, direction: PyTree, alphas: Values, **options: Any) -> "xarray.Dataset":
    """`fn` at `centre + alpha direction`, over the dim alpha; see `block`."""
    return block(fn, Flat(centre, (direction,)), {"alpha": alphas}, **options)


def surface(fn: Measure, plane: Plane, x: Values, y: Values, **options: Any) -> "xarray.Dataset":
    """`fn` at `centre + x u + y v`, over the dims (y, x); see `block`.

    Returns:
        A Dataset with the attributes `norm_u`, `norm_v` and `cosine` of the plane (see `gdlab.landscape.report`): the
        scale of the axes, and how far they are from a right angle.
    """
    data = block(fn, plane.flat, {"x": x, "y": y}, **options)
    return data.assign_attrs({name: float(value) for name, value in report(plane).items()})


def named(measured: Any) -> dict[str, Array]:
    """What a measure returned, by name."""
    return dict(measured) if isinstance(measured, Mapping) else {"loss": measured}
