"""The lanes of one group run, as many at a time as the device's memory allows."""

from collections.abc import Callable, Mapping
from typing import Protocol

import jax
import numpy as np

from gdlab.engine.chunk_programs import Programs, programs
from gdlab.engine.fill_values import blank_array
from gdlab.engine.layout import rows_needed
from gdlab.engine.plan import Group, records
from gdlab.engine.tile_run import Flight, Sent, Snapshot
from gdlab.errors import UserError


class OutOfMemoryError(UserError):
    """One lane alone is too much for the device."""


class Stopped(Exception):  # noqa: N818  (no error: it was asked for)
    """The execution was asked to stop, and has, with everything kept that was done."""


class Landing(Protocol):
    """Takes the results of some lanes, arrays of which have the lanes first."""

    def resumed(self) -> Snapshot | None: ...

    def due(self) -> bool: ...

    def keep(self, snapshot: Snapshot) -> None: ...

    def series(self, first: int, records: Mapping[str, np.ndarray]) -> None: ...

    def write(self, results: Mapping[str, np.ndarray]) -> None: ...


class Collected:
    """A landing that keeps what arrives, in `records` (by the number of their first) and `results`."""

    def __init__(self) -> None:
        self.records: list[tuple[int, Mapping[str, np.ndarray]]] = []
        self.results: Mapping[str, np.ndarray] = {}

    def resumed(self) -> Snapshot | None:
        return None

    def due(self) -> bool:
        return False

    def keep(self, snapshot: Snapshot) -> None:
        """Nothing: who stops here begins anew."""

    def series(self, first: int, records: Mapping[str, np.ndarray]) -> None:
        self.records.append((first, records))

    def write(self, results: Mapping[str, np.ndarray]) -> None:
        self.results = results


class Runner:
    """Runs lanes of a group. When the device runs out of memory it goes on with half as many at a time.

    `told(share, counts)` hears after each segment which share of the work is done, and how many lanes have each status.
    """

    def __init__(
        self,
        group: Group,
        of: Programs,
        *,
        compact: bool = True,
        stop: Callable[[], bool] = lambda: False,
        told: Callable[[float, Mapping[str, int]], None] = lambda share, counts: None,
    ) -> None:
        self.of = of  # what it runs on: narrower, after it ran out of memory
        self.counts: dict[str, int] = {}  # how many of the lanes run last had each status at their end
        self._group, self._compact, self._stop, self._told = group, compact, stop, told
        self._most: int | None = None

    def run(self, lanes: np.ndarray, landing: Landing) -> None:
        """Run some lanes of the group to their end.

        Raises:
            Stopped: `stop` said so; the landing has kept a snapshot, unless the lanes ran in parts.
            OutOfMemoryError: not even one lane fits.
        """
        while True:
            try:
                if self._most is None or len(lanes) <= self._most:
                    self.counts = self._fly(lanes, landing, 0.0, 1.0)
                else:
                    self._in_parts(lanes, landing)
                return
            except jax.errors.JaxRuntimeError as error:
                if "RESOURCE_EXHAUSTED" not in str(error):
                    raise
                self._narrow(lanes)

    def _narrow(self, lanes: np.ndarray) -> None:
        most, layout = self._most or len(lanes), self.of.layout
        if most == 1 and layout.chunk == 1:
            raise OutOfMemoryError("one run alone does not fit into the memory of the device; a smaller problem may")
        self._most, layout = max(1, most // 2), layout.narrowed()
        self.of = programs(self._group, layout, 1, self.of.mesh)  # `_fly` asks for the room that it needs

    def _room(self, lanes: np.ndarray) -> Programs:
        """The programs, with room for some lanes."""
        rows, of = rows_needed(self._group.sharing(lanes), self.of.layout.width), self.of
        chunks = -(-rows // (of.mesh.size * of.layout.rows))
        return of if chunks <= of.chunks else programs(self._group, of.layout, chunks, of.mesh)

    def _in_parts(self, lanes: np.ndarray, landing: Landing) -> None:
        assert self._most is not None
        parts: list[Collected] = []
        counts: dict[str, int] = {}
        for first in range(0, len(lanes), self._most):
            part, some = Collected(), lanes[first : first + self._most]
            done = self._fly(some, part, first / len(lanes), len(some) / len(lanes))
            counts = {name: counts.get(name, 0) + number for name, number in done.items()}
            parts.append(part)
        self.counts = counts
        sizes = [min(self._most, len(lanes) - first) for first in range(0, len(lanes), self._most)]
        for number, (first, like) in enumerate(max(parts, key=lambda part: len(part.records)).records):
            # A part all of whose lanes have ended has fewer segments.
            of_each = [
                part.records[number][1] if number < len(part.records) else _blank(size, like)
                for part, size in zip(parts, sizes, strict=True)
            ]
            landing.series(first, _joined(of_each))
        landing.write(_joined([part.results for part in parts]))

    def _fly(self, lanes: np.ndarray, landing: Landing, done: float, share: float) -> dict[str, int]:
        layout, total = self.of.layout, records(self._group.process)
        snapshot = landing.resumed()
        flight = Flight(self._group, self._room(lanes), lanes, snapshot)

        def deliver(segment: int, sent: Sent) -> None:
            first = segment * layout.blocks
            received = {name: values[:, : total - first] for name, values in flight.received(sent).items()}
            if received:
                landing.series(first, received)

        def between(segment: int, delivered: Callable[[], None]) -> None:
            self._told(done + share * (segment + 1) / layout.segments, flight.counts)
            if not flight.alive or segment + 1 == layout.segments:
                return
            stopping = self._stop()
            if stopping or landing.due():
                delivered()
                landing.keep(flight.snapshot(segment + 1))
            if stopping:
                raise Stopped

        segments = range(snapshot.segment if snapshot else 0, layout.segments)
        flight.fly(segments, deliver, between, self._compact)
        landing.write(flight.land())
        return flight.counts


def _blank(lanes: int, like: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Blank records of so many lanes."""
    return {name: blank_array((lanes, *values.shape[1:]), values.dtype) for name, values in like.items()}


def _joined(parts: list[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
