"""What a store holds, read back: nothing that is damaged, and nothing of runs that are not done."""

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
from gdlab.engine.fill_values import fill_array
from gdlab.engine.group_metadata import (
    GroupMetadata,
    changed,
    digest_of,
    name_of,
    plain,
    program_of,
    read_metadata,
    remove_folder,
)
from gdlab.engine.manifest import MANIFEST, Manifest
from gdlab.engine.plan import Cover, Group
from gdlab.engine.space import Block, Space
from gdlab.errors import UserError

if TYPE_CHECKING:
    import xarray

FORMAT = 3
STORE = "store.zarr"


class StoreError(UserError):
    """The store can't be read or written as asked."""


class DamageError(Exception):
    """A chunk is missing, or is not as it was written; the text says which of these."""


class Held(NamedTuple):
    """A group of a store: its static values, the columns and results of its lanes, where these stand in the space."""

    static: Mapping[str, Any]
    columns: Mapping[str, np.ndarray]
    results: Mapping[str, np.ndarray]
    covers: tuple[Cover, ...]


class Stored(NamedTuple):
    """All of a store."""

    space: Space
    groups: tuple[Held, ...]
    series: frozenset[str]  # the names of the results that are series
    steps: np.ndarray  # the steps that they were recorded at
    whole: bool  # whether every lane of every group is there; what is not is blank


def open_store(folder: Path, finished: bool = False) -> "xarray.Dataset":
    """The results in a folder as one Dataset over the axes of the sweep. `finished`: no run may be missing.

    Raises:
        StoreError: there is no store, or it is damaged, or it is not one that this version reads.
    """
    space, groups, series, steps, whole = read_store(folder)
    if finished and not whole:
        raise StoreError(f"{folder} is finished, but lacks some of its runs. {_way_out(folder)}")
    return assemble(space, [Piece(group.covers, group.results) for group in groups], set(series), steps)


def read_store(folder: Path) -> Stored:
    """All of a store; blank where its run has not come yet.

    Raises:
        StoreError: there is no store, or it is damaged, or it is not one that this version reads.
    """
    root, ledger = open_root(folder), Manifest(folder)
    if ledger.missing or ledger.damaged or (ledger.torn and not ledger.groups):
        state = "is missing" if ledger.missing else "is damaged"
        raise StoreError(f"{folder / MANIFEST} {state}, so it is not known which runs are done. {_way_out(folder)}")
    groups = []
    series: set[str] = set()
    steps = np.zeros(0, int)
    whole = len(list((folder / STORE).glob("group_*"))) == len(ledger.groups)
    for index in ledger.groups:
        frame = sound_frame(folder, root, ledger, index)
        if frame is None:
            what = f"a zarr.json or a column of {folder / STORE / name_of(index)}, or {folder / STORE / 'zarr.json'},"
            raise StoreError(f"{what} is not as it was written. {_way_out(folder)}")
        series |= set(frame.told["series"])
        columns = dict(frame.columns)
        steps = columns.pop("step", steps)
        arrays = {name: root[name_of(index)][name] for name in frame.forms}
        try:
            results = {name: _done(array, folder, ledger.tiles(index)) for name, array in arrays.items()}
            for tile in ledger.tiles(index):
                check_tile(arrays, folder, tile, root.attrs["space"], ledger.chunks(index, tile), read=False)
        except DamageError as damage:
            raise StoreError(f"{folder}: {damage}. {_way_out(folder)}") from None
        groups.append(Held(frame.static, columns, results, frame.covers))
        done = sum(tile.stop - tile.start for tile in ledger.tiles(index))
        whole &= done == frame.runs
    if not groups:
        raise StoreError(f"{folder} holds no results: its run stopped before the first of them")
    return Stored(_space(root.attrs["space"]), tuple(groups), frozenset(series), steps, whole)


def sound_frame(folder: Path, root: Any, ledger: Manifest, index: int) -> GroupMetadata | None:
    """The frame of a group, if it is as it was written."""
    sound = digest_of(folder / STORE, index, root.attrs["space"]) == ledger.frame(index)
    return read_metadata(root, index) if sound else None


def check_programs(folder: Path, groups: Sequence[Group]) -> None:
    """Refuse to compute with groups that are not those that a folder's results are of.

    Raises:
        StoreError: the data, or the code, have changed since; or there are no results to compare with.
    """
    root, ledger = open_root(folder), Manifest(folder)
    for index in ledger.groups:
        frame = sound_frame(folder, root, ledger, index)
        if frame is not None and index < len(groups):
            refuse_changed(folder, frame, program_of(groups[index]))


def refuse_changed(folder: Path, frame: GroupMetadata, program: Mapping[str, str]) -> None:
    """Raise StoreError if a group's program is not the one that its frame in a folder tells of."""
    what = changed(frame, program)
    if what is not None:
        raise StoreError(
            f"{folder} holds results of other data or code: since its runs began, {what} changed. "
            "Restore it as it was, or start a new run of the config with gdlab run"
        )


def _way_out(folder: Path) -> str:
    return f"gdlab resume {folder} finds out what is lost and runs it again"


def open_root(folder: Path) -> Any:
    """The store in a folder, to be read.

    Raises:
        StoreError: there is none, or it is not one that this version reads.
    """
    import zarr

    path = folder / STORE
    if not path.is_dir():
        raise StoreError(f"{folder} holds no results: there is no {STORE} in it")
    if root_attributes(path) is None:
        raise StoreError(f"{path / 'zarr.json'} is missing or damaged. {_way_out(folder)}")
    return zarr.open_group(path, mode="r")


def root_attributes(path: Path) -> dict[str, Any] | None:
    """What the root of a store says of itself; None where it is missing or can't be read.

    Raises:
        StoreError: it is of a format that this version does not read.
    """
    import zarr

    try:
        found = dict(zarr.open_group(path, mode="r").attrs)
    except OSError as error:
        if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
            return None
        raise
    except Exception:  # of the many kinds that zarr and JSON raise
        return None
    if found.get("gdlab_format") == FORMAT and not isinstance(found.get("space"), list):
        return None
    if found.get("gdlab_format") != FORMAT:
        raise StoreError(f"{path} has the format {found.get('gdlab_format')}, but this version reads {FORMAT}")
    return found


def read_part(array: Any, folder: Path, lanes: slice, records: slice | None = None) -> np.ndarray:
    """A part of an array of a folder's store: some lanes, and of a series perhaps some records only.

    Raises:
        DamageError: a chunk of it is missing, or is not as it was written.
    """
    part = (lanes,) if records is None else (lanes, records)
    for _, path in _files(array, folder, part):
        if not path.is_file():
            raise DamageError(f"{array.path} lacks a chunk")
    try:
        return np.asarray(array[part])
    except OSError:
        raise
    except Exception:  # of whichever codec finds it out
        raise DamageError(f"{array.path} has a chunk that was altered or cut short") from None


def check_tile(
    arrays: Mapping[str, Any], folder: Path, tile: slice, space: Any, chunks: str, read: bool = True
) -> None:
    """See that a tile of a group's arrays is as it was written; `space` is that of the store, as JSON.

    Args:
        chunks: the digest of its chunks when they were written.
        read: whether to read the chunks too; they have been, if not.

    Raises:
        DamageError: a chunk is missing, is not as it was written, or is one of another place or another store.
    """
    for array in arrays.values() if read else ():
        read_part(array, folder, tile)
    if digest_of_chunks(arrays, folder, tile, space) != chunks:
        (group,) = {array.path.partition("/")[0] for array in arrays.values()}
        raise DamageError(f"{group} has a chunk that was written for another place or another store")


def digest_of_chunks(
    arrays: Mapping[str, Any], folder: Path, lanes: slice, space: Any, records: slice | None = None
) -> str:
    """A digest that binds chunks to their places: group, array and number, and to the space of the store (as JSON).

    Of each chunk it has the size and the last four bytes: these are the checksum of the others.

    Raises:
        DamageError: a chunk is missing.
    """
    digest = hashlib.sha256(json.dumps(space).encode())
    for _, array in sorted(arrays.items()):
        for place, path in _files(array, folder, (lanes,) if records is None else (lanes, records)):
            try:
                with path.open("rb") as file:
                    size = file.seek(0, os.SEEK_END)
                    file.seek(max(0, size - 4))
                    digest.update(f"{array.path} {place} {size} ".encode() + file.read())
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                raise DamageError(f"{array.path} lacks a chunk") from None
    return digest.hexdigest()


def remove_misplaced(array: Any, folder: Path, tile: slice) -> None:
    """Remove folders that are where the chunks of a tile belong."""
    for _, path in _files(array, folder, (tile,)):
        remove_folder(path)


def _files(array: Any, folder: Path, part: tuple[slice, ...]) -> Iterator[tuple[tuple[int, ...], Path]]:
    """The numbers and the files of the chunks that a part of an array is in."""
    for place in _places(array, part):
        yield place, folder / STORE / array.path / array.metadata.encode_chunk_key(place)


def _places(array: Any, part: tuple[slice, ...]) -> Iterator[tuple[int, ...]]:
    """The numbers of the chunks that a part of an array is in."""
    whole = [slice(0, size) for size in array.shape]
    cut = [*part, *whole[len(part) :]]
    spans = [range(s.start // n, -(-s.stop // n)) for s, n in zip(cut, array.chunks, strict=True)]
    return itertools.product(*spans)


def _done(array: Any, folder: Path, tiles: Sequence[slice]) -> np.ndarray:
    """The values of the tiles that are whole, and blanks elsewhere."""
    values = fill_array(array.shape, array.dtype)
    for tile in _joined(tiles):
        values[tile] = read_part(array, folder, tile)
    return values


def _joined(tiles: Sequence[slice]) -> list[slice]:
    """Tiles in order, neighbours made one."""
    joined: list[slice] = []
    for tile in tiles:
        if joined and joined[-1].stop == tile.start:
            joined[-1] = slice(joined[-1].start, tile.stop)
        else:
            joined.append(tile)
    return joined


def space_to_json(space: Space) -> list[dict[str, Any]]:
    """A space as JSON can hold it."""
    written = []
    for block in space.blocks:
        columns = [c.tolist() if isinstance(c, np.ndarray) else [plain(value) for value in c] for c in block.columns]
        written.append({"names": list(block.names), "columns": columns, "label": block.label})
    return written


def _space(written: Iterable[Mapping[str, Any]]) -> Space:
    blocks = []
    for block in written:
        columns: list[np.ndarray | list[Any]] = []
        for values in block["columns"]:
            numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
            columns.append(np.asarray(values) if numbers else [ABSENT if v == plain(ABSENT) else v for v in values])
        blocks.append(Block(tuple(block["names"]), tuple(columns), block["label"]))
    return Space(tuple(blocks))
