"""A finer grid that keeps the cells it has."""

from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab.engine.evaluate import evaluate
from gdlab.landscape.planes import Plane, at
from gdlab.landscape.surface_grids import Measure, named
from gdlab.types import Array

if TYPE_CHECKING:
    import xarray


def refined(data: "xarray.Dataset", fn: Measure, plane: Plane, factor: int = 2, **options: Any) -> "xarray.Dataset":
    """The surface on a grid `factor` times as fine, evaluating only the cells that are new.

    Each interval between neighbours is cut into `factor` equal parts, so that of n values come factor (n - 1) + 1, and
    the old cells are the bits they were. New ones are what `surface` would give, to rounding: another grid is cut into
    other chunks.

    Args:
        data: what `surface(fn, plane, x, y)` gave: variables over (y, x). Those without these dims stay as they are.
        fn, plane: the same as there.
        factor: 2 or more.
        options: of `gdlab.evaluate`.

    Raises:
        ValueError: a factor below 2; a surface that is over more than (y, x), has fewer than two values along an axis,
            or holds other variables than `fn` gives.
    """
    if factor < 2:
        raise ValueError(f"factor must be at least 2, not {factor}")
    old = {name: values for name, values in data.data_vars.items() if {"x", "y"} <= set(values.dims)}
    if not old or any(values.dims[:2] != ("y", "x") for values in old.values()):
        raise ValueError("only a surface over (y, x) can be refined: of many, choose one, and transpose it so")
    x, y = (_finer(data[axis].values, factor) for axis in ("x", "y"))
    kept = np.zeros((len(y), len(x)), bool)
    kept[::factor, ::factor] = True
    rows = [(float(y[i]), float(x[j])) for i, j in np.argwhere(~kept)]

    def cell(y: Array, x: Array) -> dict[str, Array]:
        return named(fn(at(plane, x, y)))

    new = evaluate(cell, {("y", "x"): rows}, **options)
    if set(new.data_vars) != set(old):
        holds, gives = (", ".join(map(str, names)) for names in (old, new.data_vars))
        raise ValueError(f"the surface holds {holds}, but the function gives {gives}")
    finer = {}
    for name, values in old.items():
        whole = np.empty((*kept.shape, *values.shape[2:]), values.dtype)
        whole[kept], whole[~kept] = values.values.reshape(-1, *values.shape[2:]), new[name].values
        finer[name] = (values.dims, whole, values.attrs)
    rest = data.drop_vars([*old, "x", "y"])
    return rest.assign(finer).assign_coords(x=x, y=y).assign_attrs(data.attrs)


def _finer(values: np.ndarray, factor: int) -> np.ndarray:
    if len(values) < 2:
        raise ValueError("an axis of a single value has no interval to refine")
    parts = np.arange(factor) / factor
    within = values[:-1, None] + np.diff(values)[:, None] * parts
    return np.append(within.ravel(), values[-1])
