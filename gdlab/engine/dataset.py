"""Results with their labels: the groups of a plan put back into the space they came from."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gdlab.engine.execute import Variable
from gdlab.engine.plan import Group, Lanes
from gdlab.engine.program import Tile
from gdlab.engine.space import Block, Space, SpaceError, identity

if TYPE_CHECKING:
    import xarray


class Piece(NamedTuple):
    """The results of a group: arrays of shape [outer lanes, inner lanes, ...]."""

    static: Mapping[str, Any]
    lanes: Sequence[Lanes]
    results: Mapping[str, np.ndarray]


class Memory:
    """A sink that keeps everything in arrays of shape [outer lanes, inner lanes, ...], a dict of them for each
    group."""

    def __init__(self) -> None:
        self.results: list[dict[str, np.ndarray]] = []
        self.series: set[str] = set()

    def begin(self, index: int, group: Group, tile: Tile, variables: Mapping[str, Variable]) -> None:
        assert index == len(self.results)
        self.results.append({name: np.empty((*group.shape, *v.shape), v.dtype) for name, v in variables.items()})
        self.series |= {name for name, v in variables.items() if v.series}

    def write(self, index: int, outer: slice, inner: slice, results: Mapping[str, np.ndarray]) -> None:
        for name, values in results.items():
            self.results[index][name][outer, inner] = values


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
    called |= {f"{n}_{i}" for piece in pieces for n, values in piece.results.items() for i in range(values.ndim - 2)}
    if taken & called:
        raise SpaceError(f"a result and an axis are both called {sorted(taken & called)[0]!r}")


def _placed(space: Space, name: str, pieces: Sequence[Piece]) -> np.ndarray:
    own = tuple(max(sizes) for sizes in zip(*(piece.results[name].shape[2:] for piece in pieces), strict=True))
    dtype = np.result_type(*(piece.results[name].dtype for piece in pieces))
    covered = np.zeros((*space.shape, *own), bool)
    whole = np.empty(covered.shape, dtype)
    for static, lanes, results in pieces:
        values = results[name]
        outer = [i for i, lane in enumerate(lanes) if lane.outer]
        inner = [i for i, lane in enumerate(lanes) if not lane.outer]
        sizes = [lanes[i].size for i in (*outer, *inner)]
        blocks = len(lanes)
        order = [*np.argsort((*outer, *inner)), *range(blocks, blocks + len(own))]
        gridded = values.reshape((*sizes, *values.shape[2:])).transpose([int(i) for i in order])
        part = tuple(slice(size) for size in values.shape[2:])
        if not blocks:
            whole[part], covered[part] = gridded, True
            continue
        rows, which = zip(*(_rows(*pair, static) for pair in zip(space.blocks, lanes, strict=True)), strict=True)
        target: Any = (*np.ix_(*rows), *part)
        whole[target], covered[target] = gridded[np.ix_(*which)], True
    return (
        whole if covered.all() else np.where(covered, whole, blank(dtype)).astype(np.result_type(dtype, blank(dtype)))
    )


def blank(dtype: np.dtype) -> np.generic:
    """What stands where there is no result: NaN, or -1 in a signed dtype that holds the others too."""
    if np.issubdtype(dtype, np.inexact):
        return dtype.type(np.nan)
    return dtype.type(-1) if np.issubdtype(dtype, np.signedinteger) else np.int32(-1)


def _rows(block: Block, lanes: Lanes, static: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a block that a group covers, and for each of them its lane."""
    covered = np.ones(block.size, bool)
    for name, column in zip(block.names, block.columns, strict=True):
        if name in static:
            wanted = identity(static[name])
            covered &= [identity(value) == wanted for value in column]
    rows = np.flatnonzero(covered)
    if not lanes.names:
        return rows, np.zeros(len(rows), int)
    lane_of = {values: lane for lane, values in enumerate(zip(*(c.tolist() for c in lanes.columns), strict=True))}
    columns = [np.asarray(block.columns[block.names.index(name)])[rows].tolist() for name in lanes.names]
    found = np.array([lane_of.get(values, -1) for values in zip(*columns, strict=True)], int)
    return rows[found >= 0], found[found >= 0]


def label(column: np.ndarray | list[Any]) -> np.ndarray:
    """The values of an axis as a coordinate: numbers, truth values and words as they are, anything else by its name."""
    if isinstance(column, np.ndarray):
        return column
    plain = (str, bool, int, float)
    return np.array([v if isinstance(v, plain) else getattr(v, "__name__", str(v)) for v in column], object)
