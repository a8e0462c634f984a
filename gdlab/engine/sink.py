"""The interface through which an execution delivers results, and the sink that keeps them in memory."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from gdlab.engine.fill_values import fill_array, fill_missing
from gdlab.engine.layout import Layout
from gdlab.engine.plan import Group
from gdlab.engine.tile_run import Checkpoint


class Variable(NamedTuple):
    """The dtype and shape of a result."""

    dtype: np.dtype  # for a series, a dtype that holds its fill value
    shape: tuple[int, ...]  # of one run; for a series, the first axis is the records
    series: bool


class Sink(ABC):
    """Takes results tile by tile: the records of each segment, then the final results of the tile's runs.

    The leading axis of the arrays is over the runs of the tile for which `wanted` asks.
    """

    def layout(self, index: int) -> Layout | None:
        """The layout of a group that was begun earlier; None for a new group."""
        return None

    def complete(self, index: int, group: Group) -> bool:
        """Whether all results of a group exist already."""
        return False

    @abstractmethod
    def begin(self, index: int, group: Group, layout: Layout, variables: Mapping[str, Variable]) -> None:
        """Prepare for the results of a group; called before the group runs."""

    def wanted(self, index: int, tile: slice) -> np.ndarray:
        """The runs of a tile whose results do not exist yet."""
        return np.arange(tile.start, tile.stop)

    def tile(self, index: int, tile: slice) -> "SinkTile":
        """The sink of a single tile."""
        return SinkTile(self, index, tile)

    def resumed(self, index: int, tile: slice) -> Checkpoint | None:
        """The checkpoint from which a tile continues; None if it starts at its first step."""
        return None

    def due(self) -> bool:
        """Whether to write a checkpoint after the current segment."""
        return False

    def keep(self, index: int, tile: slice, checkpoint: Checkpoint) -> None:  # noqa: B027  (a sink may keep none)
        """Store a checkpoint."""

    @abstractmethod
    def series(self, index: int, tile: slice, first: int, records: Mapping[str, np.ndarray]) -> None:
        """Take the records of a segment, numbered from `first`."""

    @abstractmethod
    def write(self, index: int, tile: slice, results: Mapping[str, np.ndarray]) -> None:
        """Take the final results of the runs of a tile; the tile is then complete."""


class SinkTile(NamedTuple):
    """One tile of a sink (a `gdlab.engine.runner.TileWriter`)."""

    sink: Sink
    group: int
    runs: slice

    def resumed(self) -> Checkpoint | None:
        return self.sink.resumed(self.group, self.runs)

    def due(self) -> bool:
        return self.sink.due()

    def keep(self, checkpoint: Checkpoint) -> None:
        self.sink.keep(self.group, self.runs, checkpoint)

    def series(self, first: int, records: Mapping[str, np.ndarray]) -> None:
        self.sink.series(self.group, self.runs, first, records)

    def write(self, results: Mapping[str, np.ndarray]) -> None:
        self.sink.write(self.group, self.runs, results)


class MemorySink(Sink):
    """Keeps the results of each group in arrays of shape [runs, ...]."""

    def __init__(self) -> None:
        self.series_names: set[str] = set()
        self._groups: list[dict[str, np.ndarray]] = []
        self._written: list[np.ndarray] = []  # for each group, which runs are complete

    @property
    def results(self) -> list[dict[str, np.ndarray]]:
        """The results of each group by name, with fill values for runs that are not complete."""
        return [
            {n: array if n in self.series_names else fill_missing(array, written) for n, array in arrays.items()}
            for arrays, written in zip(self._groups, self._written, strict=True)
        ]

    def begin(self, index: int, group: Group, layout: Layout, variables: Mapping[str, Variable]) -> None:
        assert index == len(self._groups)
        self._groups.append(
            {
                name: fill_array((group.size, *v.shape), v.dtype)
                if v.series
                else np.zeros((group.size, *v.shape), v.dtype)
                for name, v in variables.items()
            }
        )
        self._written.append(np.zeros(group.size, bool))
        self.series_names |= {name for name, v in variables.items() if v.series}

    def series(self, index: int, tile: slice, first: int, records: Mapping[str, np.ndarray]) -> None:
        for name, values in records.items():
            self._groups[index][name][tile, first : first + values.shape[1]] = values

    def write(self, index: int, tile: slice, results: Mapping[str, np.ndarray]) -> None:
        for name, values in results.items():
            self._groups[index][name][tile] = values
        self._written[index][tile] = True
