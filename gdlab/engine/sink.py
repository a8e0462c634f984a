"""Where results go: what an execution asks of a sink, and the sink that keeps everything in memory."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from gdlab.engine.fill_values import blank_array
from gdlab.engine.layout import Layout
from gdlab.engine.plan import Group
from gdlab.engine.tile_run import Snapshot


class Variable(NamedTuple):
    """What is known of a result before it is computed."""

    dtype: np.dtype
    shape: tuple[int, ...]  # of one lane; a series has the records first
    series: bool


class Sink(ABC):
    """Results arrive tile by tile: the records of each segment, then what the tile's lanes end with.

    Arrays have the lanes of the tile that were wanted as their leading axis.
    """

    def layout(self, index: int) -> Layout | None:
        """How a group was laid out before, where some of it is at hand already."""
        return None

    def complete(self, index: int, group: Group) -> bool:
        """Whether all of a group is at hand already."""
        return False

    @abstractmethod
    def begin(self, index: int, group: Group, layout: Layout, variables: Mapping[str, Variable]) -> None:
        """A group is about to run."""

    def wanted(self, index: int, tile: slice) -> np.ndarray:
        """The lanes of a tile that are not at hand yet."""
        return np.arange(tile.start, tile.stop)

    def tile(self, index: int, tile: slice) -> "TileOfSink":
        """Where the results of a tile land."""
        return TileOfSink(self, index, tile)

    def resumed(self, index: int, tile: slice) -> Snapshot | None:
        """Where a tile was when its run stopped."""
        return None

    def due(self) -> bool:
        """Whether a snapshot is wanted after this segment."""
        return False

    def keep(self, index: int, tile: slice, snapshot: Snapshot) -> None:  # noqa: B027  (to keep nothing is allowed)
        """Keep what is needed to go on from here."""

    @abstractmethod
    def series(self, index: int, tile: slice, first: int, records: Mapping[str, np.ndarray]) -> None:
        """Take the records of a segment, of which `first` is the number of the first."""

    @abstractmethod
    def write(self, index: int, tile: slice, results: Mapping[str, np.ndarray]) -> None:
        """Take what the lanes of a tile end with; the tile is then whole."""


class TileOfSink(NamedTuple):
    """A sink as seen from one tile (a `gdlab.engine.runner.Landing`)."""

    sink: Sink
    group: int
    lanes: slice

    def resumed(self) -> Snapshot | None:
        return self.sink.resumed(self.group, self.lanes)

    def due(self) -> bool:
        return self.sink.due()

    def keep(self, snapshot: Snapshot) -> None:
        self.sink.keep(self.group, self.lanes, snapshot)

    def series(self, first: int, records: Mapping[str, np.ndarray]) -> None:
        self.sink.series(self.group, self.lanes, first, records)

    def write(self, results: Mapping[str, np.ndarray]) -> None:
        self.sink.write(self.group, self.lanes, results)


class Memory(Sink):
    """Keeps arrays of shape [lanes, ...], a dict of them for each group."""

    def __init__(self) -> None:
        self.results: list[dict[str, np.ndarray]] = []
        self.series_names: set[str] = set()

    def begin(self, index: int, group: Group, layout: Layout, variables: Mapping[str, Variable]) -> None:
        assert index == len(self.results)
        self.results.append({name: blank_array((group.size, *v.shape), v.dtype) for name, v in variables.items()})
        self.series_names |= {name for name, v in variables.items() if v.series}

    def series(self, index: int, tile: slice, first: int, records: Mapping[str, np.ndarray]) -> None:
        for name, values in records.items():
            self.results[index][name][tile, first : first + values.shape[1]] = values

    def write(self, index: int, tile: slice, results: Mapping[str, np.ndarray]) -> None:
        for name, values in results.items():
            self.results[index][name][tile] = values
