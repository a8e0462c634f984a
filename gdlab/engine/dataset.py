"""Results with their labels: the groups of a plan put back into the space they came from."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gdlab.engine.axis_values import ABSENT, SpaceError
from gdlab.engine.plan import Cover
from gdlab.engine.space import Space

if TYPE_CHECKING:
    import xarray


class Piece(NamedTuple):
    """The results of a group, [lanes, ...], and where the lanes stand in the space."""

    covers: Sequence[Cover]
    results: Mapping[str, np.ndarray]


def assemble(
    space: Space,
    pieces: Sequence[Piece],
    series: set[str],
    steps: np.ndarray,
) -> "xarray.Dataset":
    """One Dataset whose dims are the blocks of the space, then `step` for series, then whatever a result itself has.

    Zipped axes share a dim named after them all (lr_beta), with a
    coordinate each. A value that a group does not depend on stands at every place it applies to. Where groups differ
    in the size of a result, the smaller are filled up with NaN (-1 for integers).

    Raises:
        SpaceError: a result that is named like an axis.
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
    called = {name for piece in pieces for name in piece.results}
    called |= {f"{n}_{i}" for piece in pieces for n, values in piece.results.items() for i in range(values.ndim - 1)}
    if taken & called:
        raise SpaceError(f"a result and an axis are both called {sorted(taken & called)[0]!r}")


def _placed(space: Space, name: str, pieces: Sequence[Piece]) -> np.ndarray:
    own = tuple(max(sizes) for sizes in zip(*(piece.results[name].shape[1:] for piece in pieces), strict=True))
    dtype = np.result_type(*(piece.results[name].dtype for piece in pieces))
    covered = np.zeros((*space.shape, *own), bool)
    whole = np.empty(covered.shape, dtype)
    for covers, results in pieces:
        values = results[name]
        part = tuple(slice(size) for size in values.shape[1:])
        for cover in covers:
            target: Any = (*np.ix_(*cover.rows), *part) if cover.rows else part
            whole[target], covered[target] = values[cover.placed()], True
    return (
        whole if covered.all() else np.where(covered, whole, blank(dtype)).astype(np.result_type(dtype, blank(dtype)))
    )


def blank(dtype: np.dtype) -> np.generic:
    """What stands where there is no result: NaN, or -1 in a signed dtype that holds the others too."""
    if np.issubdtype(dtype, np.inexact):
        return dtype.type(np.nan)
    return dtype.type(-1) if np.issubdtype(dtype, np.signedinteger) else np.int32(-1)


def label(column: np.ndarray | list[Any]) -> np.ndarray:
    """The values of an axis as a coordinate: numbers (NaN where the axis is not given), truth values and words as they
    are, anything else by its name."""
    if isinstance(column, np.ndarray):
        return column
    if all(value is ABSENT or (isinstance(value, int | float) and not isinstance(value, bool)) for value in column):
        return np.array([np.nan if value is ABSENT else value for value in column])
    plain = (str, bool, int, float)
    return np.array([v if isinstance(v, plain) else getattr(v, "__name__", str(v)) for v in column], object)
