"""Refinement of a surface that reuses its cells."""

from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab.engine.evaluate import evaluate
from gdlab.landscape.planes import Plane, at
from gdlab.landscape.surface_grids import Measure, named
from gdlab.types import Array

if TYPE_CHECKING:
    import xarray


def refined(data: "xarray.Dataset", fn: Measure, plane: Plane, factor: int = 2, **options: Any) -> "xarray.Dataset":
    """The surface on a grid `factor` times as fine, evaluating new cells only.

    Each interval between neighbours is divided into `factor` equal parts: n values become factor (n - 1) + 1. Old cells
    keep their values bit for bit. New cells equal those of `surface` up to rounding (their chunks differ).

    Args:
        data: the result of `surface(fn, plane, x, y)`: variables over (y, x). Variables without these dims are kept.
        fn, plane: the function and the plane of the surface.
        factor: at least 2.
        options: see `gdlab.evaluate`.

    Raises:
        ValueError: a factor below 2; a surface with other dims than (y, x), with fewer than two values along an axis,
            or with other variables than those of `fn`.
    """
    if factor < 2:
        raise ValueError(f"factor must be at least 2, not {factor}")
    old = {name: values for name, values in data.data_vars.items() if {"x", "y"} <= set(values.dims)}
    if not old or any(values.dims[:2] != ("y", "x") for values in old.values()):
        raise ValueError("only a surface over (y, x) can be refined: select one surface, and transpose it to (y, x)")
    x, y = (_finer(data[axis].values, factor) for axis in ("x", "y"))
    kept = np.zeros((len(y), len(x)), bool)
    kept[::factor, ::factor] = True
    rows = [(float(y[i]), float(x[j])) for i, j in np.argwhere(~kept)]

    def cell(y: Array, x: Array) -> dict[str, Array]:
        return named(fn(at(plane, x, y)))

    new = evaluate(cell, {("y", "x"): rows}, **options)
    if set(new.data_vars) != set(old):
        holds, gives = (", ".join(map(str, names)) for names in (old, new.data_vars))
        raise ValueError(f"the surface holds {holds}, but fn returns {gives}")
    finer = {}
    for name, values in old.items():
        whole = np.empty((*kept.shape, *values.shape[2:]), values.dtype)
        whole[kept], whole[~kept] = values.values.reshape(-1, *values.shape[2:]), new[name].values
        finer[name] = (values.dims, whole, values.attrs)
    rest = data.drop_vars([*old, "x", "y"])
    return rest.assign(finer).assign_coords(x=x, y=y).assign_attrs(data.attrs)


def _finer(values: np.ndarray, factor: int) -> np.ndarray:
    if len(values) < 2:
        raise ValueError("an axis with a single value has no interval to refine")
    parts = np.arange(factor) / factor
    within = values[:-1, None] + np.diff(values)[:, None] * parts
    return np.append(within.ravel(), values[-1])
