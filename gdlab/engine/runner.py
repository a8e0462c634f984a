"""Execute the runs of one group, as many at a time as the device's memory allows."""

from collections.abc import Callable, Mapping
from typing import Protocol

import jax
import numpy as np

from gdlab.engine.chunk_programs import ChunkPrograms, chunk_programs
from gdlab.engine.fill_values import fill_array
from gdlab.engine.layout import rows_needed
from gdlab.engine.plan import Group, records
from gdlab.engine.tile_run import Checkpoint, SegmentRecords, TileRun
from gdlab.errors import UserError


class OutOfMemoryError(UserError):
    """A single run does not fit into the memory of the device."""


class Stopped(Exception):  # noqa: N818  (a request, not an error)
    """The execution stopped on request; everything that was done is kept."""


class TileWriter(Protocol):
    """Takes the results of the runs of a tile, in arrays with the runs along their leading axis."""

    def resumed(self) -> Checkpoint | None: ...

    def due(self) -> bool: ...

    def keep(self, checkpoint: Checkpoint) -> None: ...

    def series(self, first: int, records: Mapping[str, np.ndarray]) -> None: ...

    def write(self, results: Mapping[str, np.ndarray]) -> None: ...


class CollectedTile:
    """A tile writer that keeps `results`, and `records` as pairs (number of the first record, arrays by name)."""

    def __init__(self) -> None:
        self.records: list[tuple[int, Mapping[str, np.ndarray]]] = []
        self.results: Mapping[str, np.ndarray] = {}

    def resumed(self) -> Checkpoint | None:
        return None

    def due(self) -> bool:
        return False

    def keep(self, checkpoint: Checkpoint) -> None:
        """Discards the checkpoint: a tile that is stopped starts again from its first step."""

    def series(self, first: int, records: Mapping[str, np.ndarray]) -> None:
        self.records.append((first, records))

    def write(self, results: Mapping[str, np.ndarray]) -> None:
        self.results = results


class Runner:
    """Executes runs of a group. If the device runs out of memory, it continues with half as many at a time.

    `report(share, counts)` is called after each segment with the share of the work that is done and the number of runs
    that have each status.
    """

    def __init__(
        self,
        group: Group,
        programs: ChunkPrograms,
        *,
        compact: bool = True,
        stop: Callable[[], bool] = lambda: False,
        report: Callable[[float, Mapping[str, int]], None] = lambda share, counts: None,
    ) -> None:
        self.programs = programs  # replaced by narrower ones if memory runs out
        self.counts: dict[str, int] = {}  # how many runs of the last call of `run` ended with each status
        self._group, self._compact, self._stop, self._report = group, compact, stop, report
        self._most: int | None = None  # runs at a time

    def run(self, runs: np.ndarray, writer: TileWriter) -> None:
        """Run some runs of the group to their end.

        Raises:
            Stopped: `stop` returned true. The writer holds a checkpoint, unless memory has run out before.
            OutOfMemoryError: a single run does not fit.
        """
        while True:
            try:
                if self._most is None or len(runs) <= self._most:
                    self.counts = self._run(runs, writer, 0.0, 1.0)
                else:
                    self._run_in_parts(runs, writer, self._most)
                return
            except jax.errors.JaxRuntimeError as error:
                if "RESOURCE_EXHAUSTED" not in str(error):
                    raise
                self._narrow(runs)

    def _narrow(self, runs: np.ndarray) -> None:
        most, layout = self._most or len(runs), self.programs.layout
        if most == 1 and layout.chunk == 1:
            raise OutOfMemoryError("a single run does not fit into the memory of the device; use a smaller problem")
        self._most, layout = max(1, most // 2), layout.narrowed()
        self.programs = chunk_programs(self._group, layout, 1, self.programs.mesh)  # `_fitting` adds chunks

    def _fitting(self, runs: np.ndarray) -> ChunkPrograms:
        """The programs, with enough chunks for some runs."""
        programs = self.programs
        rows = rows_needed(self._group.outer_counts(runs), programs.layout.width)
        chunks = -(-rows // (programs.mesh.size * programs.layout.rows))
        if chunks <= programs.chunks:
            return programs
        return chunk_programs(self._group, programs.layout, chunks, programs.mesh)

    def _run_in_parts(self, runs: np.ndarray, writer: TileWriter, most: int) -> None:
        tiles: list[CollectedTile] = []
        counts: dict[str, int] = {}
        parts = [runs[first : first + most] for first in range(0, len(runs), most)]
        for number, part in enumerate(parts):
            tiles.append(CollectedTile())
            ended = self._run(part, tiles[-1], number * most / len(runs), len(part) / len(runs))
            counts = {name: counts.get(name, 0) + count for name, count in ended.items()}
        self.counts = counts
        for number, (first, like) in enumerate(max(tiles, key=lambda tile: len(tile.records)).records):
            # A part all of whose runs have ended has fewer segments.
            segments = [
                tile.records[number][1] if number < len(tile.records) else _fill_records(len(part), like)
                for tile, part in zip(tiles, parts, strict=True)
            ]
            writer.series(first, _concatenated(segments))
        writer.write(_concatenated([tile.results for tile in tiles]))

    def _run(self, runs: np.ndarray, writer: TileWriter, done: float, share: float) -> dict[str, int]:
        layout, total = self.programs.layout, records(self._group.process)
        checkpoint = writer.resumed()
        tile = TileRun(self._group, self._fitting(runs), runs, checkpoint)

        def deliver(segment: int, sent: SegmentRecords) -> None:
            first = segment * layout.blocks
            arrays = {name: values[:, : total - first] for name, values in tile.records(sent).items()}
            if arrays:
                writer.series(first, arrays)

        def between(segment: int, delivered: Callable[[], None]) -> None:
            self._report(done + share * (segment + 1) / layout.segments, tile.counts)
            if not tile.alive or segment + 1 == layout.segments:
                return
            stopping = self._stop()
            if stopping or writer.due():
                delivered()
                writer.keep(tile.checkpoint(segment + 1))
            if stopping:
                raise Stopped

        segments = range(checkpoint.segment if checkpoint else 0, layout.segments)
        tile.run(segments, deliver, between, self._compact)
        writer.write(tile.results())
        return tile.counts


def _fill_records(runs: int, like: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Records of this many runs that hold fill values only."""
    return {name: fill_array((runs, *values.shape[1:]), values.dtype) for name, values in like.items()}


def _concatenated(parts: list[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
