"""Results on disk: a zarr store with a group for each compiled program, written tile by tile.

`store.zarr/group_N` opens with xarray: dim `run`, then `step` for series and whatever else a result has; the
hyperparameters are coordinates, the static values attributes. A tile is one chunk of each array (of a long series one
for each segment), so tiles never share a file, and every chunk ends with its checksum. `ledger.jsonl` says which tiles
are whole. Only one process writes to a folder at a time.
"""

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab.engine.checkpoints import read_checkpoint, remove_checkpoint, write_checkpoint
from gdlab.engine.fill_values import fill_array
from gdlab.engine.group_metadata import (
    GroupMetadata,
    as_text,
    digest_of,
    metadata_of,
    name_of,
    program_of,
    read_metadata,
    remove_folder,
    write_metadata,
)
from gdlab.engine.layout import Layout, tiles
from gdlab.engine.manifest import MANIFEST, Manifest
from gdlab.engine.plan import Group
from gdlab.engine.read_store import (
    FORMAT,
    STORE,
    DamageError,
    StoreError,
    check_tile,
    digest_of_chunks,
    read_part,
    refuse_changed,
    remove_misplaced,
    root_attributes,
    space_to_json,
)
from gdlab.engine.reuse import ReusedRuns
from gdlab.engine.sink import Sink, Variable
from gdlab.engine.space import Space
from gdlab.engine.tile_run import Checkpoint

if TYPE_CHECKING:
    from filelock import FileLock

# Seconds of work that a process may lose when it is killed.
OFTEN = 20.0


class Store(Sink):
    """A sink that writes to a folder, which must exist; a context, which holds the folder's lock.

    `resume` goes on with what is there; else there must be nothing. `known` gives the results of lanes that need not be
    run. Without `midway` no tile is taken up in the middle: it begins anew unless it is whole.

    Raises:
        StoreError: another process writes there; there is a store already; or that of another experiment.
    """

    def __init__(
        self,
        folder: Path,
        space: Space,
        *,
        resume: bool = False,
        known: Mapping[int, ReusedRuns] | None = None,
        midway: bool = True,
    ) -> None:
        self._folder, self._resume, self._midway = folder, resume, resume and midway
        self._told = json.loads(json.dumps({"gdlab_format": FORMAT, "space": space_to_json(space)}))
        self._known = dict(known or {})
        self._frames: dict[int, GroupMetadata | None] = {}
        self._arrays: dict[int, dict[str, Any]] = {}
        self._variables: dict[int, Mapping[str, Variable]] = {}
        self._buffers: dict[str, np.ndarray] = {}
        self._recorded = 0  # records of the tile under way that are on disk or in the buffers
        self._saved = time.monotonic()
        self.notes: list[str] = []  # what was found damaged

    def __enter__(self) -> "Store":
        self._lock = locked(self._folder)
        try:
            if not self._resume and ((self._folder / STORE).exists() or (self._folder / MANIFEST).exists()):
                raise StoreError(f"{self._folder} holds results already; gdlab resume goes on with them")
            self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def _open(self) -> None:
        """Open the store and its ledger, made or mended if need be."""
        import zarr

        path = self._folder / STORE
        found = root_attributes(path)
        self._ledger = Manifest(self._folder)
        for partial in list(self._folder.rglob("*.partial")):  # of a process that was killed while it wrote
            shutil.rmtree(partial) if partial.is_dir() else partial.unlink(missing_ok=True)
        if found is not None and as_text(found) != as_text(self._told) and self._written_with(found["space"]):
            raise self._other()
        self._write_root(path)
        self._root = zarr.open_group(path, mode="r+")
        if self._ledger.damaged:
            self.notes.append("lines of the ledger could not be read; the runs that they are about are run again")
        if self._ledger.damaged or self._ledger.torn or self._ledger.missing:
            self._ledger.rewrite()

    def _write_root(self, path: Path) -> None:
        """Make the root of the store, or make it as it should be."""
        import zarr

        made: dict[str, Any] = {}
        zarr.create_group(zarr.storage.MemoryStore(made), attributes=self._told)
        wanted, file = made["zarr.json"].to_bytes(), path / "zarr.json"
        if not file.is_file() or file.read_bytes() != wanted:
            path.mkdir(exist_ok=True)
            partial = path / "zarr.json.partial"
            partial.write_bytes(wanted)
            remove_folder(file)
            os.replace(partial, file)

    def _written_with(self, space: Any) -> bool:
        """Whether the groups that there are were begun as parts of another space."""
        begun = ((digest_of(self._folder / STORE, n, space), self._ledger.frame(n)) for n in self._ledger.groups)
        return any(found == digest for found, digest in begun)

    def _other(self) -> StoreError:
        return StoreError(f"{self._folder} holds the results of another experiment")

    def layout(self, index: int) -> Layout | None:
        frame = self._frame(index)
        return None if frame is None else frame.layout

    def complete(self, index: int, group: Group) -> bool:
        if index in self._known:
            return bool((self._known[index].runs >= 0).all())
        layout = self.layout(index)
        return layout is not None and all(self._ledger.has(index, tile) for tile in tiles(group.size, layout.tile))

    def begin(self, index: int, group: Group, layout: Layout, variables: Mapping[str, Variable]) -> None:
        """Make the arrays of a group, or open them; fill the tiles all of whose lanes are known."""
        import zarr

        self._framed(index, metadata_of(group, layout, variables))
        # zarr leaves out a chunk that is all fill value; a finished tile must not look like a missing one. The setting
        # is not kept with the array.
        with zarr.config.set({"array.write_empty_chunks": True}):
            here: Any = self._root[name_of(index)]
            self._arrays[index] = {name: here[name] for name in variables}
        self._variables[index] = variables
        self._check(index, list(tiles(group.size, layout.tile)))
        if index in self._known:
            for tile in tiles(group.size, layout.tile):
                if not self._ledger.has(index, tile) and not len(self.wanted(index, tile)):
                    self._finish(index, tile, {n: np.zeros((0, *v.shape), v.dtype) for n, v in variables.items()})

    def _frame(self, index: int) -> GroupMetadata | None:
        """The frame of a group on disk; None where there is none, or it is not as it was written."""
        if index not in self._frames:
            digest = self._ledger.frame(index)
            sound = digest is not None and digest == self._digest(index)
            self._frames[index] = read_metadata(self._root, index) if sound else None
        return self._frames[index]

    def _digest(self, index: int) -> str | None:
        return digest_of(self._folder / STORE, index, self._told["space"])

    def refuse_changed(self, groups: Sequence[Group]) -> None:
        """Refuse groups that are not what was begun here, so that no result of one program stands beside another's.

        Raises:
            StoreError: the data, or the code, have changed since.
        """
        for index, group in enumerate(groups):
            found = self._frame(index)
            if found is not None:
                refuse_changed(self._folder, found, program_of(group))

    def _framed(self, index: int, wanted: GroupMetadata) -> None:
        """See that the frame of a group is on disk; strike its tiles if they don't fit into it."""
        found, home = self._frame(index), self._folder / STORE
        if found is not None and found.same(wanted):
            return
        if found is not None and found.whose() != wanted.whose():
            raise self._other()
        if found is not None:
            refuse_changed(self._folder, found, wanted.told["program"])
        before = self._ledger.frame(index)
        if before is not None:  # what is damaged is made again, and then is as it was
            write_metadata(home, index, wanted)
        if before is None or not (found.forms == wanted.forms if found else self._digest(index) == before):
            for tile in self._ledger.tiles(index):
                self._strike(index, tile, f"{name_of(index)} is not as it was written")
            shutil.rmtree(home / name_of(index), ignore_errors=True)
            write_metadata(home, index, wanted)
        digest = self._digest(index)
        assert digest is not None
        self._ledger.begin(index, digest)
        self._frames[index] = wanted

    def _check(self, index: int, wanted: list[slice]) -> None:
        """Strike tiles that are not as they were written."""
        for tile in self._ledger.tiles(index):
            if tile not in wanted:
                self._ledger.strike(index, tile)
                continue
            arrays = self._arrays[index]
            try:
                check_tile(arrays, self._folder, tile, self._told["space"], self._ledger.chunks(index, tile))
            except DamageError as damage:
                self._strike(index, tile, str(damage))
                for array in arrays.values():
                    remove_misplaced(array, self._folder, tile)

    def _strike(self, index: int, tile: slice, reason: str) -> None:
        self._ledger.strike(index, tile)
        remove_checkpoint(self._folder, index, tile)  # it may be from before the damage
        self.notes.append(f"{reason}: runs {tile.start} to {tile.stop - 1} of group {index} are run again")

    def wanted(self, index: int, tile: slice) -> np.ndarray:
        lanes = np.arange(tile.start, tile.stop)
        if self._ledger.has(index, tile):
            return lanes[:0]
        return lanes if index not in self._known else lanes[self._known[index].runs[tile] < 0]

    def resumed(self, index: int, tile: slice) -> Checkpoint | None:
        self._buffers, self._recorded = {}, 0
        found = read_checkpoint(self._folder, index, tile, self.wanted(index, tile)) if self._midway else None
        if found is None:
            return None
        snapshot, buffers, written = found
        recorded = snapshot.segment * snapshot.layout.blocks
        try:
            for array in self._segmented(index).values():
                read_part(array, self._folder, tile, slice(0, recorded))
            if self._so_far(index, tile, recorded) != written:
                raise DamageError(f"{name_of(index)} has a chunk that was written for another place or another store")
        except DamageError as damage:
            self.notes.append(f"{damage}: runs {tile.start} to {tile.stop - 1} of group {index} begin anew")
            return None
        self._buffers, self._recorded = buffers, recorded
        return snapshot

    def due(self) -> bool:
        return time.monotonic() - self._saved > OFTEN

    def keep(self, index: int, tile: slice, snapshot: Checkpoint) -> None:
        written = self._so_far(index, tile, snapshot.segment * snapshot.layout.blocks)
        write_checkpoint(self._folder, index, tile, self.wanted(index, tile), snapshot, self._buffers, written)
        self._saved = time.monotonic()

    def series(self, index: int, tile: slice, first: int, records: Mapping[str, np.ndarray]) -> None:
        for name, values in records.items():
            variable = self._variables[index][name]
            self._recorded = last = first + values.shape[1]
            if self._in_segments(index, name):
                part = slice(first, last)
                self._arrays[index][name][tile, part] = self._whole(index, name, tile, values, part)
                continue
            if name not in self._buffers:
                self._buffers[name] = fill_array((values.shape[0], *variable.shape), variable.dtype)
            self._buffers[name][:, first:last] = values

    def write(self, index: int, tile: slice, results: Mapping[str, np.ndarray]) -> None:
        """Write the rest of a tile; once all of it is there, enter it in the ledger."""
        self._finish(index, tile, {**self._buffers, **results})
        self._buffers = {}
        remove_checkpoint(self._folder, index, tile)

    def _finish(self, index: int, tile: slice, results: Mapping[str, np.ndarray]) -> None:
        for name, values in results.items():
            self._arrays[index][name][tile] = self._whole(index, name, tile, values)
        for name, array in self._arrays[index].items():
            if name not in results:
                self._blank(index, name, array, tile)
        chunks = digest_of_chunks(self._arrays[index], self._folder, tile, self._told["space"])
        self._ledger.enter(index, tile, chunks)

    def _blank(self, index: int, name: str, array: Any, tile: slice) -> None:
        """Fill up a series with the segments that were not run, since every lane had ended."""
        lanes = len(self.wanted(index, tile))
        for first in range(self._recorded, array.shape[1], array.chunks[1]):
            part = slice(first, min(first + array.chunks[1], array.shape[1]))
            blank = fill_array((lanes, part.stop - part.start, *array.shape[2:]), array.dtype)
            array[tile, part] = self._whole(index, name, tile, blank, part)

    def _so_far(self, index: int, tile: slice, recorded: int) -> str:
        """A digest of the chunks that are on disk of a tile of which so many records are done."""
        return digest_of_chunks(self._segmented(index), self._folder, tile, self._told["space"], slice(0, recorded))

    def _segmented(self, index: int) -> dict[str, Any]:
        """The arrays of a group's series that have a chunk for each segment."""
        return {name: array for name, array in self._arrays[index].items() if self._in_segments(index, name)}

    def _in_segments(self, index: int, name: str) -> bool:
        """Whether a result is a series that has a chunk for each segment."""
        array = self._arrays[index][name]
        return self._variables[index][name].series and array.chunks[1] < array.shape[1]

    def _whole(self, index: int, name: str, tile: slice, values: np.ndarray, part: slice | None = None) -> np.ndarray:
        """The values of all lanes of a tile, of those that were wanted and those that were known."""
        if index not in self._known:
            return values
        return self._known[index].merged(name, tile, values, part)


def locked(folder: Path) -> "FileLock":
    """The lock of a folder, taken; a context that gives it back.

    Raises:
        StoreError: another process has it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StoreError(f"another process is writing to {folder}; wait for it, or stop it") from None
    return lock
