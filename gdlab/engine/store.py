"""Results on disk: a zarr store with a group for each compiled program, and a ledger of the tiles that are finished.

`store.zarr/group_N` opens with xarray: dims `seed` (or whatever the outer axes are) and `point`, then `step` for
series and whatever else a result has; the hyperparameters are coordinates, the static values attributes. A tile is one
chunk of
each array, so tiles never share a file.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab.engine.dataset import Piece, assemble, label
from gdlab.engine.execute import Variable
from gdlab.engine.plan import Group, Lanes
from gdlab.engine.program import Tile
from gdlab.engine.space import Block, Space
from gdlab.errors import UserError

if TYPE_CHECKING:
    import xarray

FORMAT = 1


class StoreError(UserError):
    """The store can't be read or written as asked."""


class Store:
    """A sink that writes to `folder/store.zarr` and `folder/ledger.jsonl`. The folder must exist and hold neither."""

    def __init__(self, folder: Path, space: Space) -> None:
        import zarr

        self._folder = folder
        self._root = zarr.create_group(folder / "store.zarr", overwrite=False)
        self._root.attrs.update({"gdlab_format": FORMAT, "space": [_written(block) for block in space.blocks]})
        self._arrays: list[dict[str, zarr.Array]] = []
        self._lanes: list[bool] = []
        (folder / "ledger.jsonl").touch(exist_ok=False)

    def begin(self, index: int, group: Group, tile: Tile, variables: Mapping[str, Variable]) -> None:
        """Make the arrays of a group."""
        assert index == len(self._arrays)
        here = self._root.create_group(f"group_{index}")
        outer_dim = "_".join(name for i in group.outer for name in group.lanes[i].names)
        dims = ([outer_dim] if group.outer else []) + ["point"]
        columns = {n: (outer_dim, c) for n, c in group.values(group.outer, np.arange(group.shape[0])).items()}
        columns |= {n: ("point", c) for n, c in group.values(group.inner, np.arange(group.shape[1])).items()}
        if any(variable.series for variable in variables.values()):
            process = group.process
            columns["step"] = ("step", np.arange(0, process.steps, process.every))
        for name, (dim, column) in columns.items():
            here.create_array(name, data=np.ascontiguousarray(column), dimension_names=[dim])
        arrays = {}
        for name, variable in variables.items():
            own = ["step"] if variable.series else []
            own += [f"{name}_{i}" for i in range(len(variable.shape) - len(own))]
            inexact = np.issubdtype(variable.dtype, np.inexact)
            arrays[name] = here.create_array(
                name,
                shape=(*(group.shape if group.outer else group.shape[1:]), *variable.shape),
                chunks=(*(tile if group.outer else tile[1:]), *(max(1, size) for size in variable.shape)),
                dtype=variable.dtype,
                fill_value=np.nan if inexact else -1,
                dimension_names=[*dims, *own],
                # zarr leaves out a chunk that is all fill value; a finished tile must not look like a missing one. The
                # array itself is kept: one opened anew would not know.
                config={"write_empty_chunks": True},
            )
            arrays[name].attrs["series"] = variable.series
        here.attrs.update(
            {
                # xarray reads the names of coordinates that are no dims from this attribute
                "coordinates": " ".join(name for name, (dim, _) in columns.items() if name != dim),
                "results": list(variables),
                "static": {name: _plain(value) for name, value in group.static.items()},
                "lanes": [
                    {"names": list(lanes.names), "outer": lanes.outer, "size": lanes.size} for lanes in group.lanes
                ],
            }
        )
        self._arrays.append(arrays)
        self._lanes.append(bool(group.outer))

    def write(self, index: int, outer: slice, inner: slice, results: Mapping[str, np.ndarray]) -> None:
        """Write a tile; once all its arrays are there, enter it in the ledger."""
        for name, values in results.items():
            array = self._arrays[index][name]
            if self._lanes[index]:
                array[outer, inner] = values
            else:
                array[inner] = values[0]
        entry = {"group": index, "outer": [outer.start, outer.stop], "inner": [inner.start, inner.stop]}
        with (self._folder / "ledger.jsonl").open("a") as ledger:
            ledger.write(json.dumps(entry) + "\n")
            ledger.flush()
            os.fsync(ledger.fileno())


def open_store(folder: Path) -> "xarray.Dataset":
    """The results in a folder as one Dataset over the axes of the sweep.

    Raises:
        StoreError: there is no store, or it is not one that this version reads.
    """
    space, pieces, series, steps = read_store(folder)
    return assemble(space, pieces, series, steps)


def read_store(folder: Path) -> tuple[Space, list[Piece], set[str], np.ndarray]:
    """The space of a store, the results of each group, the names of the series and the steps they were recorded at.

    Raises:
        StoreError: there is no store, or it is not one that this version reads.
    """
    import zarr

    path = folder / "store.zarr"
    if not path.is_dir():
        raise StoreError(f"{folder} holds no results: there is no store.zarr in it")
    root: Any = zarr.open_group(path, mode="r")
    if root.attrs.get("gdlab_format") != FORMAT:
        raise StoreError(f"{path} has the format {root.attrs.get('gdlab_format')}, but this version reads {FORMAT}")
    space = Space(tuple(_read(block) for block in root.attrs["space"]))
    pieces: list[Piece] = []
    series: set[str] = set()
    steps = np.zeros(0, int)
    names = sorted((name for name in root.group_keys() if name.startswith("group_")), key=lambda n: int(n[6:]))
    for group in names:
        here = root[group]
        if "results" not in here.attrs:  # stopped while its arrays were being made
            continue
        lanes = [_lanes(here, kept) for kept in here.attrs["lanes"]]
        outer = any(lane.outer for lane in lanes)
        results = {}
        for name in here.attrs["results"]:
            array = here[name]
            if array.attrs["series"]:
                series.add(name)
                steps = here["step"][:]
            results[name] = array[:] if outer else array[:][None]
        pieces.append(Piece(here.attrs["static"], lanes, results))
    if not pieces:
        raise StoreError(f"{folder} holds no results: its run stopped before the first of them")
    return space, pieces, series, steps


def _lanes(here: Any, kept: Mapping[str, Any]) -> Lanes:
    """The distinct values of one block in a group, from the columns that repeat them for every lane."""
    names = tuple(kept["names"])
    columns = [here[name][:] for name in names]
    if not columns:
        return Lanes(names, (), kept["outer"])
    stacked = np.stack(columns, axis=1)
    first = np.sort(np.unique(stacked, axis=0, return_index=True)[1])
    return Lanes(names, tuple(column[first] for column in columns), kept["outer"])


def _written(block: Block) -> dict[str, Any]:
    columns = [c.tolist() if isinstance(c, np.ndarray) else [_plain(value) for value in c] for c in block.columns]
    return {"names": list(block.names), "columns": columns}


def _read(block: Mapping[str, Any]) -> Block:
    columns = []
    for values in block["columns"]:
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        columns.append(np.asarray(values) if numbers else list(values))
    return Block(tuple(block["names"]), tuple(columns))


def _plain(value: Any) -> Any:
    """A static value as JSON can hold it; what it can't, by its name."""
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value if value is None or isinstance(value, bool | int | float | str) else label([value])[0]
