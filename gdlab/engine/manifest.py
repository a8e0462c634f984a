"""The manifest of a store: one line for each group that was begun and each tile that is complete."""

import json
import os
import zlib
from pathlib import Path
from typing import Any

MANIFEST = "manifest.jsonl"


class Manifest:
    """The entries of a folder's manifest. `begin_group` and `add_tile` return after their entry is on disk.

    A group's entry holds the digest of its metadata, and its range of runs is empty. A tile's entry holds its range of
    runs and a digest of the content and location of its chunks (`gdlab.engine.read_store.digest_of_chunks`). Each line
    has a checksum. If the process is killed while it writes, the last line is incomplete: it is ignored, and `torn` is
    True. `damaged` is the number of other lines that can't be read.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / MANIFEST
        self._groups: dict[int, str] = {}
        self._tiles: dict[tuple[int, int, int], str] = {}
        self.missing = not self._path.is_file()
        self.damaged, self.torn = 0, False
        lines = [] if self.missing else self._path.read_bytes().splitlines(keepends=True)
        for line in lines:
            entry = _read(line)
            if entry is not None:
                self._add(*entry)
            elif line.endswith(b"\n"):
                self.damaged += 1
            else:
                self.torn = True

    def _add(self, index: int, start: int, stop: int, metadata: str, chunks: str) -> None:
        if metadata:
            self._groups[index] = metadata
        else:
            self._tiles[index, start, stop] = chunks

    @property
    def groups(self) -> list[int]:
        """The groups that were begun."""
        return sorted(self._groups)

    def metadata_digest(self, index: int) -> str | None:
        """The digest of the metadata with which a group was begun; None if it was not begun."""
        return self._groups.get(index)

    def tiles(self, index: int) -> list[slice]:
        """The complete tiles of a group, in order."""
        return [slice(start, stop) for group, start, stop in sorted(self._tiles) if group == index]

    def has_tile(self, index: int, tile: slice) -> bool:
        """Whether a tile is complete."""
        return (index, tile.start, tile.stop) in self._tiles

    def chunk_digest(self, index: int, tile: slice) -> str:
        """The digest of the chunks of a complete tile."""
        return self._tiles[index, tile.start, tile.stop]

    def begin_group(self, index: int, metadata: str) -> None:
        """Add a group, or replace the digest of its metadata."""
        known = index in self._groups
        self._groups[index] = metadata
        if known:
            self.rewrite()
        else:
            self._append(_line(index, 0, 0, metadata))

    def add_tile(self, index: int, tile: slice, chunks: str) -> None:
        """Add a complete tile; `chunks` is the digest of its chunks."""
        self._tiles[index, tile.start, tile.stop] = chunks
        self._append(_line(index, tile.start, tile.stop, chunks=chunks))

    def remove_tile(self, index: int, tile: slice) -> None:
        """Remove a tile that is no longer complete."""
        del self._tiles[index, tile.start, tile.stop]
        self.rewrite()

    def rewrite(self) -> None:
        """Write all entries again, in the order of a run that was not interrupted."""
        groups = [(index, 0, 0, metadata, "") for index, metadata in self._groups.items()]
        complete = [(*tile, "", chunks) for tile, chunks in self._tiles.items()]
        partial = self._path.with_name(f".{MANIFEST}.partial")
        with partial.open("w") as file:
            file.writelines(_line(*entry) for entry in sorted([*groups, *complete]))
            _sync(file)
        os.replace(partial, self._path)

    def _append(self, line: str) -> None:
        with self._path.open("a") as file:
            file.write(line)
            _sync(file)


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _line(index: int, start: int, stop: int, metadata: str = "", chunks: str = "") -> str:
    entry: dict[str, Any] = {"group": index, "runs": [start, stop]}
    entry |= {name: digest for name, digest in (("metadata", metadata), ("chunks", chunks)) if digest}
    return json.dumps(entry | {"crc32": _checksum(index, start, stop, metadata, chunks)}) + "\n"


def _read(line: bytes) -> tuple[int, int, int, str, str] | None:
    try:
        found = json.loads(line)
        entry = found["group"], *found["runs"], found.get("metadata", ""), found.get("chunks", "")
        return entry if line.endswith(b"\n") and found["crc32"] == _checksum(*entry) else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _checksum(index: int, start: int, stop: int, metadata: str, chunks: str) -> int:
    return zlib.crc32(f"{index} {start} {stop} {metadata} {chunks}".encode())
