"""Read a store: results of complete tiles only, after a check for damage."""

import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gdlab.engine.axis_values import ABSENT
from gdlab.engine.dataset import Piece, assemble
from gdlab.engine.fill_values import fill_missing
from gdlab.engine.group_metadata import (
    GroupMetadata,
    changed,
    metadata_digest,
    name_of,
    program_of,
    read_metadata,
    remove_folder,
    to_json,
)
from gdlab.engine.manifest import MANIFEST, Manifest
from gdlab.engine.plan import Cover, Group
from gdlab.engine.space import Block, Space
from gdlab.errors import UserError

if TYPE_CHECKING:
    import xarray

FORMAT = 4
STORE = "store.zarr"


class StoreError(UserError):
    """The store can't be read or written as requested."""


class DamageError(Exception):
    """A chunk is missing, or was changed after it was written; the message says which."""


class StoredGroup(NamedTuple):
    """A group of a store: its static values, the columns and results of its runs, and their points."""

    static: Mapping[str, Any]
    columns: Mapping[str, np.ndarray]
    results: Mapping[str, np.ndarray]
    covers: tuple[Cover, ...]


class StoreContents(NamedTuple):
    """The contents of a store."""

    space: Space
    groups: tuple[StoredGroup, ...]
    series: frozenset[str]  # the names of the results that are series
    steps: np.ndarray  # the steps at which they were recorded
    complete: bool  # whether it has every run of every group; a missing run has fill values


def open_store(folder: Path, finished: bool = False) -> "xarray.Dataset":
    """The results in a folder as one Dataset over the axes of the sweep.

    Args:
        finished: whether a missing run is an error.

    Raises:
        StoreError: there is no store, it is damaged, this version does not read its format, or (with
            `finished`) a run is missing.
    """
    space, groups, series, steps, complete = read_store(folder)
    if finished and not complete:
        raise StoreError(f"{folder} is marked as finished, but some of its runs are missing. {_remedy(folder)}")
    return assemble(space, [Piece(group.covers, group.results) for group in groups], set(series), steps)


def read_store(folder: Path) -> StoreContents:
    """The contents of a store; fill values for runs that are not done.

    Raises:
        StoreError: there is no store, it is damaged, or this version does not read its format.
    """
    root, manifest = open_root(folder), Manifest(folder)
    if manifest.missing or manifest.damaged or (manifest.torn and not manifest.groups):
        state = "is missing" if manifest.missing else "is damaged"
        raise StoreError(f"{folder / MANIFEST} {state}, so it is not known which runs are done. {_remedy(folder)}")
    groups = []
    series: set[str] = set()
    steps = np.zeros(0, int)
    complete = len(list((folder / STORE).glob("group_*"))) == len(manifest.groups)
    for index in manifest.groups:
        metadata = checked_metadata(folder, root, manifest, index)
        if metadata is None:
            what = f"a zarr.json or a column of {folder / STORE / name_of(index)}, or {folder / STORE / 'zarr.json'},"
            raise StoreError(f"{what} was changed after it was written. {_remedy(folder)}")
        series |= set(metadata.attributes["series"])
        columns = dict(metadata.columns)
        steps = columns.pop("step", steps)
        arrays = {name: root[name_of(index)][name] for name in metadata.arrays}
        try:
            results = {name: _done(array, folder, manifest.tiles(index)) for name, array in arrays.items()}
            for tile in manifest.tiles(index):
                check_tile(arrays, folder, tile, root.attrs["space"], manifest.chunk_digest(index, tile), read=False)
        except DamageError as damage:
            raise StoreError(f"{folder}: {damage}. {_remedy(folder)}") from None
        groups.append(StoredGroup(metadata.static, columns, results, metadata.covers))
        done = sum(tile.stop - tile.start for tile in manifest.tiles(index))
        complete &= done == metadata.runs
    if not groups:
        raise StoreError(f"{folder} holds no results: the run stopped before its first group")
    return StoreContents(_space(root.attrs["space"]), tuple(groups), frozenset(series), steps, complete)


def checked_metadata(folder: Path, root: Any, manifest: Manifest, index: int) -> GroupMetadata | None:
    """The metadata of a group; None if it was changed after it was written."""
    found = metadata_digest(folder / STORE, index, root.attrs["space"])
    return read_metadata(root, index) if found == manifest.metadata_digest(index) else None


def check_programs(folder: Path, groups: Sequence[Group]) -> None:
    """Check that groups have the programs and data with which the results in a folder were computed.

    Raises:
        StoreError: the data or the code has changed, or there are no results.
    """
    root, manifest = open_root(folder), Manifest(folder)
    for index in manifest.groups:
        metadata = checked_metadata(folder, root, manifest, index)
        if metadata is not None and index < len(groups):
            refuse_changed(folder, metadata, program_of(groups[index]))


def refuse_changed(folder: Path, metadata: GroupMetadata, program: Mapping[str, str]) -> None:
    """Raise a StoreError if the program of a group differs from the program in its metadata in a folder."""
    what = changed(metadata, program)
    if what is not None:
        raise StoreError(
            f"{folder} holds results of other data or code: since its runs began, {what} changed. "
            "Restore the earlier state, or start a new run of the config with gdlab run"
        )


def _remedy(folder: Path) -> str:
    return f"gdlab resume {folder} finds the damaged runs and runs them again"


def open_root(folder: Path) -> Any:
    """The zarr group of the store in a folder, opened for reading.

    Raises:
        StoreError: there is no store, or this version does not read its format.
    """
    import zarr

    path = folder / STORE
    if not path.is_dir():
        raise StoreError(f"{folder} holds no results: there is no {STORE} in it")
    if root_attributes(path) is None:
        raise StoreError(f"{path / 'zarr.json'} is missing or damaged. {_remedy(folder)}")
    return zarr.open_group(path, mode="r")


def root_attributes(path: Path) -> dict[str, Any] | None:
    """The attributes of the root of a store; None if they are missing or can't be read.

    Raises:
        StoreError: this version does not read its format.
    """
    import zarr

    try:
        found = dict(zarr.open_group(path, mode="r").attrs)
    except OSError as error:
        if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
            return None
        raise
    except Exception:  # zarr and JSON raise errors of many types
        return None
    if found.get("gdlab_format") == FORMAT and not isinstance(found.get("space"), list):
        return None
    if found.get("gdlab_format") != FORMAT:
        raise StoreError(f"{path} has the format {found.get('gdlab_format')}, but this version reads {FORMAT}")
    return found


def read_part(array: Any, folder: Path, runs: slice, records: slice | None = None) -> np.ndarray:
    """Read some runs of an array in a store; of a series, the given records (by default all).

    Raises:
        DamageError: a chunk is missing, or was changed after it was written.
    """
    part = (runs,) if records is None else (runs, records)
    for _, path in _files(array, folder, part):
        if not path.is_file():
            raise DamageError(f"a chunk of {array.path} is missing")
    try:
        return np.asarray(array[part])
    except OSError:
        raise
    except Exception:  # each codec raises different errors
        raise DamageError(f"a chunk of {array.path} was changed or truncated") from None


def check_tile(
    arrays: Mapping[str, Any], folder: Path, tile: slice, space: Any, chunks: str, read: bool = True
) -> None:
    """Check that the chunks of a tile are those that were written.

    Args:
        space: the space of the store, as JSON.
        chunks: the digest of the chunks when they were written.
        read: whether to read the chunks; False if they have been read already.

    Raises:
        DamageError: a chunk is missing, was changed, or belongs to another place or another store.
    """
    for array in arrays.values() if read else ():
        read_part(array, folder, tile)
    if digest_of_chunks(arrays, folder, tile, space) != chunks:
        (group,) = {array.path.partition("/")[0] for array in arrays.values()}
        raise DamageError(f"a chunk of {group} belongs to another place or another store")


def digest_of_chunks(
    arrays: Mapping[str, Any], folder: Path, runs: slice, space: Any, records: slice | None = None
) -> str:
    """A digest of chunks and their places: group, array and number, and the space of the store (as JSON).

    It includes the size and the last four bytes of each chunk, which are the checksum of the other bytes.

    Raises:
        DamageError: a chunk is missing.
    """
    digest = hashlib.sha256(json.dumps(space).encode())
    for _, array in sorted(arrays.items()):
        for place, path in _files(array, folder, (runs,) if records is None else (runs, records)):
            try:
                with path.open("rb") as file:
                    size = file.seek(0, os.SEEK_END)
                    file.seek(max(0, size - 4))
                    digest.update(f"{array.path} {place} {size} ".encode() + file.read())
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                raise DamageError(f"a chunk of {array.path} is missing") from None
    return digest.hexdigest()


def remove_misplaced(array: Any, folder: Path, tile: slice) -> None:
    """Remove folders at paths where chunks of a tile belong."""
    for _, path in _files(array, folder, (tile,)):
        remove_folder(path)


def _files(array: Any, folder: Path, part: tuple[slice, ...]) -> Iterator[tuple[tuple[int, ...], Path]]:
    """The numbers and the files of the chunks that hold a part of an array."""
    for place in _places(array, part):
        yield place, folder / STORE / array.path / array.metadata.encode_chunk_key(place)


def _places(array: Any, part: tuple[slice, ...]) -> Iterator[tuple[int, ...]]:
    """The numbers of the chunks that hold a part of an array."""
    whole = [slice(0, size) for size in array.shape]
    cut = [*part, *whole[len(part) :]]
    spans = [range(s.start // n, -(-s.stop // n)) for s, n in zip(cut, array.chunks, strict=True)]
    return itertools.product(*spans)


def _done(array: Any, folder: Path, tiles: Sequence[slice]) -> np.ndarray:
    """The values of the complete tiles; fill values elsewhere."""
    values, present = np.zeros(array.shape, array.dtype), np.zeros(array.shape[0], bool)
    for tile in _merged(tiles):
        values[tile] = read_part(array, folder, tile)
        present[tile] = True
    return fill_missing(values, present)


def _merged(tiles: Sequence[slice]) -> list[slice]:
    """Tiles in order, with adjacent tiles merged into one slice."""
    merged: list[slice] = []
    for tile in tiles:
        if merged and merged[-1].stop == tile.start:
            merged[-1] = slice(merged[-1].start, tile.stop)
        else:
            merged.append(tile)
    return merged


def space_to_json(space: Space) -> list[dict[str, Any]]:
    """A space as JSON."""
    written = []
    for block in space.blocks:
        columns = [c.tolist() if isinstance(c, np.ndarray) else [to_json(value) for value in c] for c in block.columns]
        written.append({"names": list(block.names), "columns": columns, "label": block.label})
    return written


def _space(written: Iterable[Mapping[str, Any]]) -> Space:
    blocks = []
    for block in written:
        columns: list[np.ndarray | list[Any]] = []
        for values in block["columns"]:
            numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
            columns.append(np.asarray(values) if numbers else [ABSENT if v == to_json(ABSENT) else v for v in values])
        blocks.append(Block(tuple(block["names"]), tuple(columns), block["label"]))
    return Space(tuple(blocks))
