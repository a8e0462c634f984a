"""Assemble the results of the groups of a plan into one labelled Dataset."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gdlab.engine.axis_values import ABSENT, AxisValues, SpaceError, is_number
from gdlab.engine.fill_values import fill_missing
from gdlab.engine.plan import Cover
from gdlab.engine.space import Space

if TYPE_CHECKING:
    import xarray


class Piece(NamedTuple):
    """The results of a group, [runs, ...], and the points they belong to."""

    covers: Sequence[Cover]
    results: Mapping[str, np.ndarray]


def assemble(space: Space, pieces: Sequence[Piece], series: set[str], steps: np.ndarray) -> "xarray.Dataset":
    """A Dataset whose dims are the blocks of the space, then `step` for series, then any axes of the result.

    Zipped axes share a dim named after all of them (lr_beta), with a coordinate each. A result is repeated over an axis
    on which it does not depend. Where a group lacks a result, or has fewer values of it than another group, missing
    values are filled with NaN, or with -1 for integers and booleans, which are then signed integers.

    Raises:
        SpaceError: a result with the name of an axis.
    """
    import xarray

    dims = [block.dim for block in space.blocks]
    _refuse_collisions(space, pieces)
    variables: dict[str, Any] = {}
    for name in dict.fromkeys(name for piece in pieces for name in piece.results):
        own = ["step"] if name in series else []
        values = _placed(space, name, [piece for piece in pieces if name in piece.results])
        own += [f"{name}_{i}" for i in range(values.ndim - len(dims) - len(own))]
        variables[name] = (dims + own, values)
    coords: dict[str, Any] = {
        n: (b.dim, label(c)) for b in space.blocks for n, c in zip(b.names, b.columns, strict=True)
    }
    if series & set(variables):
        coords["step"] = steps
    return xarray.Dataset(variables, coords)


def _refuse_collisions(space: Space, pieces: Sequence[Piece]) -> None:
    taken = {*space.names, *(block.dim for block in space.blocks), "step"}
    names = {name for piece in pieces for name in piece.results}
    names |= {f"{n}_{i}" for piece in pieces for n, values in piece.results.items() for i in range(values.ndim - 1)}
    if taken & names:
        raise SpaceError(f"a result and an axis have the same name, {sorted(taken & names)[0]!r}")


def _placed(space: Space, name: str, pieces: Sequence[Piece]) -> np.ndarray:
    """A result at every point of the space."""
    own = tuple(max(sizes) for sizes in zip(*(piece.results[name].shape[1:] for piece in pieces), strict=True))
    dtype = np.result_type(*(piece.results[name].dtype for piece in pieces))
    whole = np.zeros((*space.shape, *own), dtype)
    present = np.zeros(whole.shape, bool)
    for covers, results in pieces:
        values = results[name]
        part = tuple(slice(size) for size in values.shape[1:])
        for cover in covers:
            target: Any = (*np.ix_(*cover.rows), *part) if cover.rows else part
            whole[target], present[target] = values[cover.run_numbers()], True
    return fill_missing(whole, present)


def label(column: AxisValues) -> np.ndarray:
    """The values of an axis as a coordinate: numbers (NaN where the axis is absent), booleans and strings as they are,
    any other value by its name."""
    if isinstance(column, np.ndarray):
        return column
    if all(value is ABSENT or is_number(value) for value in column):
        return np.array([np.nan if value is ABSENT else value for value in column])
    kept = (str, bool, int, float)
    return np.array([v if isinstance(v, kept) else getattr(v, "__name__", str(v)) for v in column], object)
