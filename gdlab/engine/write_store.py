"""Write results to disk: a zarr store with one zarr group per group of the plan, written tile by tile.

`xarray.open_datatree(folder / "store.zarr", engine="zarr", consolidated=False)` opens all groups, and
`xarray.open_zarr(folder / "store.zarr", group="group_0", consolidated=False)` a single one. The dims are `run`, `step`
for series, and the axes of a result itself; hyperparameters are coordinates, and static values are attributes. A tile
is one chunk of each array (of a long series one chunk per segment), so tiles never share a file; every chunk ends with
its checksum. `manifest.jsonl` lists the complete tiles. One process at a time writes to a folder.
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
    metadata_digest,
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

# Seconds between two checkpoints: the work that is lost if the process is killed.
OFTEN = 20.0


class Store(Sink):
    """A sink that writes to an existing folder. As a context manager it holds the lock of the folder.

    Args:
        resume: continue the store in the folder; otherwise the folder must hold none.
        reused: by group, runs whose results are copied from another store.
        checkpoints: whether incomplete tiles continue from their checkpoints; otherwise they start again.

    Raises:
        StoreError: another process writes to the folder, or the folder already holds a store (with `resume`: the
            store of another experiment).
    """

    def __init__(
        self,
        folder: Path,
        space: Space,
        *,
        resume: bool = False,
        reused: Mapping[int, ReusedRuns] | None = None,
        checkpoints: bool = True,
    ) -> None:
        self._folder, self._resume, self._from_checkpoints = folder, resume, resume and checkpoints
        self._attributes = json.loads(json.dumps({"gdlab_format": FORMAT, "space": space_to_json(space)}))
        self._reused = dict(reused or {})
        self._metadata: dict[int, GroupMetadata | None] = {}
        self._arrays: dict[int, dict[str, Any]] = {}
        self._variables: dict[int, Mapping[str, Variable]] = {}
        self._buffers: dict[str, np.ndarray] = {}
        self._recorded = 0  # records of the current tile that are on disk or in the buffers
        self._saved = time.monotonic()
        self.notes: list[str] = []  # messages about damage

    def __enter__(self) -> "Store":
        self._lock = locked(self._folder)
        try:
            if not self._resume and ((self._folder / STORE).exists() or (self._folder / MANIFEST).exists()):
                raise StoreError(f"{self._folder} already holds results; gdlab resume continues them")
            self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def _open(self) -> None:
        """Open the store and its manifest; create or repair them if necessary."""
        import zarr

        path = self._folder / STORE
        found = root_attributes(path)
        self._manifest = Manifest(self._folder)
        for partial in list(self._folder.rglob("*.partial")):  # of a process that was killed while writing
            shutil.rmtree(partial) if partial.is_dir() else partial.unlink(missing_ok=True)
        if found is not None and as_text(found) != as_text(self._attributes) and self._written_with(found["space"]):
            raise self._other()
        self._write_root(path)
        self._root = zarr.open_group(path, mode="r+")
        if self._manifest.damaged:
            self.notes.append("lines of the manifest could not be read; their runs are run again")
        if self._manifest.damaged or self._manifest.torn or self._manifest.missing:
            self._manifest.rewrite()

    def _write_root(self, path: Path) -> None:
        """Create the root of the store, or repair it."""
        import zarr

        made: dict[str, Any] = {}
        zarr.create_group(zarr.storage.MemoryStore(made), attributes=self._attributes)
        wanted, file = made["zarr.json"].to_bytes(), path / "zarr.json"
        if not file.is_file() or file.read_bytes() != wanted:
            path.mkdir(exist_ok=True)
            partial = path / "zarr.json.partial"
            partial.write_bytes(wanted)
            remove_folder(file)
            os.replace(partial, file)

    def _written_with(self, space: Any) -> bool:
        """Whether groups of the store were begun with this space."""
        begun = (
            (metadata_digest(self._folder / STORE, n, space), self._manifest.metadata_digest(n))
            for n in self._manifest.groups
        )
        return any(found == digest for found, digest in begun)

    def _other(self) -> StoreError:
        return StoreError(f"{self._folder} holds the results of another experiment")

    def layout(self, index: int) -> Layout | None:
        metadata = self._metadata_of(index)
        return None if metadata is None else metadata.layout

    def complete(self, index: int, group: Group) -> bool:
        if index in self._reused:
            return bool((self._reused[index].runs >= 0).all())
        layout = self.layout(index)
        return layout is not None and all(
            self._manifest.has_tile(index, tile) for tile in tiles(group.size, layout.tile)
        )

    def begin(self, index: int, group: Group, layout: Layout, variables: Mapping[str, Variable]) -> None:
        """Create or open the arrays of a group; write the tiles all of whose runs are reused."""
        import zarr

        self._ensure_metadata(index, metadata_of(group, layout, variables))
        # By default zarr omits chunks that hold fill values only, so a complete tile would look like a missing one. The
        # setting is not stored with the array.
        with zarr.config.set({"array.write_empty_chunks": True}):
            here: Any = self._root[name_of(index)]
            self._arrays[index] = {name: here[name] for name in variables}
        self._variables[index] = variables
        self._check(index, list(tiles(group.size, layout.tile)))
        if index in self._reused:
            for tile in tiles(group.size, layout.tile):
                if not self._manifest.has_tile(index, tile) and not len(self.wanted(index, tile)):
                    self._finish(index, tile, {n: np.zeros((0, *v.shape), v.dtype) for n, v in variables.items()})

    def _metadata_of(self, index: int) -> GroupMetadata | None:
        """The metadata of a group on disk; None if there is none, or if it was changed after it was written."""
        if index not in self._metadata:
            digest = self._manifest.metadata_digest(index)
            unchanged = digest is not None and digest == self._digest(index)
            self._metadata[index] = read_metadata(self._root, index) if unchanged else None
        return self._metadata[index]

    def _digest(self, index: int) -> str | None:
        return metadata_digest(self._folder / STORE, index, self._attributes["space"])

    def refuse_changed(self, groups: Sequence[Group]) -> None:
        """Check that groups have the programs and data with which the groups of the store were begun.

        Raises:
            StoreError: the data or the code has changed.
        """
        for index, group in enumerate(groups):
            found = self._metadata_of(index)
            if found is not None:
                refuse_changed(self._folder, found, program_of(group))

    def _ensure_metadata(self, index: int, wanted: GroupMetadata) -> None:
        """Write the metadata of a group unless it is on disk; discard its tiles if they don't match it."""
        found, home = self._metadata_of(index), self._folder / STORE
        if found is not None and found.same(wanted):
            return
        if found is not None and found.runs_key() != wanted.runs_key():
            raise self._other()
        if found is not None:
            refuse_changed(self._folder, found, wanted.attributes["program"])
        before = self._manifest.metadata_digest(index)
        if before is not None:  # rewriting damaged metadata restores it
            write_metadata(home, index, wanted)
        if before is None or not (found.arrays == wanted.arrays if found else self._digest(index) == before):
            for tile in self._manifest.tiles(index):
                self._discard(index, tile, f"{name_of(index)} was changed after it was written")
            shutil.rmtree(home / name_of(index), ignore_errors=True)
            write_metadata(home, index, wanted)
        digest = self._digest(index)
        assert digest is not None
        self._manifest.begin_group(index, digest)
        self._metadata[index] = wanted

    def _check(self, index: int, wanted: list[slice]) -> None:
        """Discard tiles that were changed after they were written."""
        for tile in self._manifest.tiles(index):
            if tile not in wanted:
                self._manifest.remove_tile(index, tile)
                continue
            arrays = self._arrays[index]
            try:
                check_tile(
                    arrays, self._folder, tile, self._attributes["space"], self._manifest.chunk_digest(index, tile)
                )
            except DamageError as damage:
                self._discard(index, tile, str(damage))
                for array in arrays.values():
                    remove_misplaced(array, self._folder, tile)

    def _discard(self, index: int, tile: slice, reason: str) -> None:
        self._manifest.remove_tile(index, tile)
        remove_checkpoint(self._folder, index, tile)  # it may be older than the damage
        self.notes.append(f"{reason}: runs {tile.start} to {tile.stop - 1} of group {index} are run again")

    def wanted(self, index: int, tile: slice) -> np.ndarray:
        runs = np.arange(tile.start, tile.stop)
        if self._manifest.has_tile(index, tile):
            return runs[:0]
        return runs if index not in self._reused else runs[self._reused[index].runs[tile] < 0]

    def resumed(self, index: int, tile: slice) -> Checkpoint | None:
        self._buffers, self._recorded = {}, 0
        found = read_checkpoint(self._folder, index, tile, self.wanted(index, tile)) if self._from_checkpoints else None
        if found is None:
            return None
        checkpoint, buffers, written = found
        recorded = checkpoint.segment * checkpoint.layout.blocks
        try:
            for array in self._segmented(index).values():
                read_part(array, self._folder, tile, slice(0, recorded))
            if self._written_digest(index, tile, recorded) != written:
                raise DamageError(f"a chunk of {name_of(index)} belongs to another place or another store")
        except DamageError as damage:
            self.notes.append(f"{damage}: runs {tile.start} to {tile.stop - 1} of group {index} start again")
            return None
        self._buffers, self._recorded = buffers, recorded
        return checkpoint

    def due(self) -> bool:
        return time.monotonic() - self._saved > OFTEN

    def keep(self, index: int, tile: slice, checkpoint: Checkpoint) -> None:
        written = self._written_digest(index, tile, checkpoint.segment * checkpoint.layout.blocks)
        write_checkpoint(self._folder, index, tile, self.wanted(index, tile), checkpoint, self._buffers, written)
        self._saved = time.monotonic()

    def series(self, index: int, tile: slice, first: int, records: Mapping[str, np.ndarray]) -> None:
        for name, values in records.items():
            variable = self._variables[index][name]
            self._recorded = last = first + values.shape[1]
            if self._in_segments(index, name):
                part = slice(first, last)
                self._arrays[index][name][tile, part] = self._merged(index, name, tile, values, part)
                continue
            if name not in self._buffers:
                self._buffers[name] = fill_array((values.shape[0], *variable.shape), variable.dtype)
            self._buffers[name][:, first:last] = values

    def write(self, index: int, tile: slice, results: Mapping[str, np.ndarray]) -> None:
        """Write the rest of a tile, then add it to the manifest."""
        self._finish(index, tile, {**self._buffers, **results})
        self._buffers = {}
        remove_checkpoint(self._folder, index, tile)

    def _finish(self, index: int, tile: slice, results: Mapping[str, np.ndarray]) -> None:
        for name, values in results.items():
            self._arrays[index][name][tile] = self._merged(index, name, tile, values)
        for name, array in self._arrays[index].items():
            if name not in results:
                self._fill(index, name, array, tile)
        chunks = digest_of_chunks(self._arrays[index], self._folder, tile, self._attributes["space"])
        self._manifest.add_tile(index, tile, chunks)

    def _fill(self, index: int, name: str, array: Any, tile: slice) -> None:
        """Write fill values to the segments of a series that were not run because every run had ended."""
        runs = len(self.wanted(index, tile))
        for first in range(self._recorded, array.shape[1], array.chunks[1]):
            part = slice(first, min(first + array.chunks[1], array.shape[1]))
            fill = fill_array((runs, part.stop - part.start, *array.shape[2:]), array.dtype)
            array[tile, part] = self._merged(index, name, tile, fill, part)

    def _written_digest(self, index: int, tile: slice, recorded: int) -> str:
        """A digest of the chunks of a tile that are on disk after `recorded` records."""
        return digest_of_chunks(
            self._segmented(index), self._folder, tile, self._attributes["space"], slice(0, recorded)
        )

    def _segmented(self, index: int) -> dict[str, Any]:
        """The series of a group that have one chunk per segment."""
        return {name: array for name, array in self._arrays[index].items() if self._in_segments(index, name)}

    def _in_segments(self, index: int, name: str) -> bool:
        """Whether a result is a series with one chunk per segment."""
        array = self._arrays[index][name]
        return self._variables[index][name].series and array.chunks[1] < array.shape[1]

    def _merged(self, index: int, name: str, tile: slice, values: np.ndarray, part: slice | None = None) -> np.ndarray:
        """The values of all runs of a tile: those that were computed and those that are reused."""
        if index not in self._reused:
            return values
        return self._reused[index].merged(name, tile, values, part)


def locked(folder: Path) -> "FileLock":
    """The acquired lock of a folder; a context manager that releases it on exit.

    Raises:
        StoreError: another process holds it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StoreError(f"another process is writing to {folder}; wait for it, or stop it") from None
    return lock
