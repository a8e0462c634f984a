"""The ledger of a store: which groups were begun and which tiles are whole, a line each."""

import json
import os
import zlib
from pathlib import Path
from typing import Any

MANIFEST = "ledger.jsonl"


class Manifest:
    """What a folder's ledger says. An entry is on disk before `begin` or `enter` returns.

    A group is begun with an entry of no runs, which holds the digest of its frame. The entry of a tile holds a digest
    of its chunks and of their places (`gdlab.engine.read_store.digest_of_chunks`). Each line has a checksum. The last
    one may be `torn`, its writer killed: that is no entry. `damaged` counts the others that can't be read.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / MANIFEST
        self._begun: dict[int, str] = {}
        self._tiles: dict[tuple[int, int, int], str] = {}
        self.missing = not self._path.is_file()
        self.damaged, self.torn = 0, False
        lines = [] if self.missing else self._path.read_bytes().splitlines(keepends=True)
        for line in lines:
            entry = _read(line)
            if entry is not None:
                self._note(*entry)
            elif line.endswith(b"\n"):
                self.damaged += 1
            else:
                self.torn = True

    def _note(self, index: int, start: int, stop: int, frame: str, chunks: str) -> None:
        if frame:
            self._begun[index] = frame
        else:
            self._tiles[index, start, stop] = chunks

    @property
    def groups(self) -> list[int]:
        """The groups that were begun."""
        return sorted(self._begun)

    def frame(self, index: int) -> str | None:
        """The digest of the frame that a group was begun with; None if it was not."""
        return self._begun.get(index)

    def tiles(self, index: int) -> list[slice]:
        """The tiles of a group that are whole, the first runs first."""
        return [slice(start, stop) for group, start, stop in sorted(self._tiles) if group == index]

    def has(self, index: int, tile: slice) -> bool:
        """Whether a tile is whole."""
        return (index, tile.start, tile.stop) in self._tiles

    def chunks(self, index: int, tile: slice) -> str:
        """The digest of the chunks of a tile that is whole."""
        return self._tiles[index, tile.start, tile.stop]

    def begin(self, index: int, frame: str) -> None:
        """A group is begun, or has another frame than before."""
        known = index in self._begun
        self._begun[index] = frame
        if known:
            self.rewrite()
        else:
            self._append(_line(index, 0, 0, frame))

    def enter(self, index: int, tile: slice, chunks: str) -> None:
        """A tile is whole; `chunks` is the digest of its chunks."""
        self._tiles[index, tile.start, tile.stop] = chunks
        self._append(_line(index, tile.start, tile.stop, chunks=chunks))

    def strike(self, index: int, tile: slice) -> None:
        """A tile is whole no longer."""
        del self._tiles[index, tile.start, tile.stop]
        self.rewrite()

    def rewrite(self) -> None:
        """Write what is known anew, in the order in which an unbroken run writes it."""
        begun = [(index, 0, 0, frame, "") for index, frame in self._begun.items()]
        whole = [(*tile, "", chunks) for tile, chunks in self._tiles.items()]
        partial = self._path.with_name(f".{MANIFEST}.partial")
        with partial.open("w") as file:
            file.writelines(_line(*entry) for entry in sorted([*begun, *whole]))
            _settle(file)
        os.replace(partial, self._path)

    def _append(self, line: str) -> None:
        with self._path.open("a") as file:
            file.write(line)
            _settle(file)


def _settle(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _line(index: int, start: int, stop: int, frame: str = "", chunks: str = "") -> str:
    told: dict[str, Any] = {"group": index, "runs": [start, stop]}
    told |= {name: digest for name, digest in (("frame", frame), ("chunks", chunks)) if digest}
    return json.dumps(told | {"crc32": _checksum(index, start, stop, frame, chunks)}) + "\n"


def _read(line: bytes) -> tuple[int, int, int, str, str] | None:
    try:
        told = json.loads(line)
        entry = told["group"], *told["runs"], told.get("frame", ""), told.get("chunks", "")
        return entry if line.endswith(b"\n") and told["crc32"] == _checksum(*entry) else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _checksum(index: int, start: int, stop: int, frame: str, chunks: str) -> int:
    return zlib.crc32(f"{index} {start} {stop} {frame} {chunks}".encode())
