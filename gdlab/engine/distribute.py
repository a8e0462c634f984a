"""Run the groups of a plan on the workers of an executor, a tile a task; only this process writes to the sink."""

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from gdlab.engine.execute import Settings, Timing, check, programs_of, run_mesh, variables
from gdlab.engine.executor_adapter import PAUSE, Crew, Source, WorkersError, lost
from gdlab.engine.layout import Layout, lay_out, tiles
from gdlab.engine.messages import Failed, Lacking, Parcel, Ran, Task, Terms, Unfit
from gdlab.engine.plan import Group, describe, records
from gdlab.engine.progress import Watch
from gdlab.engine.runner import Stopped
from gdlab.engine.sink import Sink
from gdlab.engine.worker import digest, settings_of_jax, turn, versions, work

# Tiles for each worker, about: so many that all of them end at about the same time.
EACH = 4
# Tasks that wait or run, for each worker.
AHEAD = 2
# Failures that a message tells of one by one.
TOLD = 8


class Failure(NamedTuple):
    """Lanes of a group whose task raised an exception on its worker."""

    group: int
    label: str
    lanes: slice
    reason: str


class FailedRunsError(Exception):
    """Some tasks failed; the others are done, and what came out is in the sink (`data`: a Dataset, where there is one).

    The lanes in `failures` are blank there.
    """

    def __init__(self, failures: Sequence[Failure]) -> None:
        lines = [f"  {f.label}, runs {f.lanes.start} to {f.lanes.stop - 1}: {f.reason}" for f in failures[:TOLD]]
        more = [f"  and {len(failures) - TOLD} more"] if len(failures) > TOLD else []
        super().__init__("\n".join(["some runs failed; the others are done", *lines, *more]))
        self.failures = tuple(failures)
        self.data: Any = None


class _Job(NamedTuple):
    """A task, and the tile that it is the wanted part of."""

    task: Task
    tile: slice


class _Sum:
    """What the tasks of a group took, all together."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.devices, self.memory, self.compile_seconds, self.run_seconds = layout, 0, 0, 0.0, 0.0

    def add(self, ran: Ran) -> None:
        self.devices, self.memory = max(self.devices, ran.devices), max(self.memory, ran.memory)
        self.compile_seconds += ran.compile_seconds
        self.run_seconds += ran.run_seconds


def execute_on(executor: Any, groups: Sequence[Group], source: Source, sink: Sink, settings: Settings) -> list[Timing]:
    """Evaluate every lane of every group that the sink wants, on the workers of an executor.

    Each worker calls `source` once, which returns the groups again: a `functools.partial` of a module's function, as a
    rule. It has all devices of the worker's process. A task may run twice and comes to the same; results are written as
    they come, and the bits are those of `execute` with the same layout. Times are those of all workers together.

    Args:
        executor: a `Crew`, or what makes one (see there).

    Raises:
        WorkersError: the workers can't be used, or are gone; what was done is in the sink.
        FailedRunsError: some tasks raised an exception; all others are done.
        ValueError: as `execute`.
        Stopped: `settings.stop` said so. Tasks under way were waited for, those not begun were not.
    """
    check(settings)
    crew = executor if isinstance(executor, Crew) else Crew(executor)
    key, parcel = crew.pack(source)
    terms = Terms(versions(), settings_of_jax(), key, digest(groups), settings.compact)
    return _Execution(crew, groups, sink, settings, terms, parcel).run()


class _Execution:
    def __init__(
        self, crew: Crew, groups: Sequence[Group], sink: Sink, settings: Settings, terms: Terms, parcel: Parcel
    ) -> None:
        self._crew, self._groups, self._sink, self._settings = crew, groups, sink, settings
        self._terms, self._parcel = terms, parcel
        self._watch = Watch(groups, settings.progress)
        self._waiting: dict[Any, _Job] = {}  # in the order in which they were submitted
        self._sums: list[_Sum] = []
        self._failures: list[Failure] = []

    def run(self) -> list[Timing]:
        jobs, stopped = self._jobs(), False
        try:
            while True:
                if self._settings.stop() and not stopped:
                    jobs, stopped = iter(()), True
                    self._give_up(self._crew.size)  # executors begin with what was submitted first
                self._submit(jobs)
                if not self._waiting:
                    break
                done = [future for future in self._waiting if future.done()]
                if not done:
                    time.sleep(PAUSE)
                for future in done:
                    self._take(future, stopped)
        except BaseException:
            self._give_up(0)
            raise
        if stopped:
            raise Stopped
        if self._failures:
            raise FailedRunsError(self._failures)
        return [
            Timing(describe(group), group.size, s.layout, s.devices, s.memory, s.compile_seconds, s.run_seconds)
            for group, s in zip(self._groups, self._sums, strict=True)
        ]

    def _jobs(self) -> Iterator[_Job]:
        """All there is to do, a group begun when it is reached."""
        mesh = run_mesh()
        for index, group in enumerate(self._groups):
            self._watch.enter(index, "compile")
            layout = self._sink.layout(index) or self._cut(group)
            with turn:
                named = variables(group, programs_of(group, layout, mesh))
            self._sink.begin(index, group, layout, named)
            self._sums.append(_Sum(layout))
            for tile in tiles(group.size, layout.tile):
                lanes = self._sink.wanted(index, tile)
                if len(lanes):
                    yield _Job(Task(index, lanes, layout), tile)
                else:
                    self._passed(index, tile, {})

    def _cut(self, group: Group) -> Layout:
        """The layout of a group that has none: tiles of whole chunks, `EACH` for each worker in all."""
        site, size, process = self._crew.site, self._crew.size, group.process
        layout = lay_out(
            group.sharing(),
            group.cost,
            records(process),
            process.steps,
            size * site.devices,
            cached=site.platform == "cpu",
            chunk=self._settings.chunk,
            tile=self._settings.tile,
        )
        if self._settings.tile is not None:
            return layout
        share = sum(each.size for each in self._groups) / (EACH * size)
        whole = layout.chunk * site.devices
        return layout._replace(tile=min(layout.tile, math.ceil(share / whole) * whole))

    def _submit(self, jobs: Iterator[_Job]) -> None:
        if len(self._waiting) >= AHEAD * (most := self._crew.size):
            return
        for job in jobs:
            self._waiting[self._crew.submit(work, self._terms, None, job.task)] = job
            if len(self._waiting) >= AHEAD * most:
                return

    def _take(self, future: Any, stopped: bool) -> None:
        """See what became of a task."""
        job = self._waiting.pop(future)
        index, tile = job.task.group, job.tile
        try:
            with lost():
                outcome = future.result()
        except WorkersError:
            raise
        except Exception as error:  # what the executor says: that a task has lost several workers, say
            outcome = Failed(f"{type(error).__name__}: {error}")
        match outcome:
            case Lacking() if not stopped:
                self._waiting[self._crew.submit(work, self._terms, self._parcel, job.task)] = job
            case Lacking():
                pass
            case Unfit(reason):
                raise WorkersError(reason)
            case Failed(reason):
                self._failures.append(Failure(index, describe(self._groups[index]), tile, reason))
                self._passed(index, tile, {})
            case Ran():
                landing = self._sink.tile(index, tile)
                landing.resumed()  # what there may be of a part of the tile is written anew
                for first, values in outcome.records:
                    landing.series(first, values)
                landing.write(outcome.results)
                self._sums[index].add(outcome)
                self._passed(index, tile, outcome.counts)

    def _passed(self, index: int, tile: slice, counts: Any) -> None:
        self._watch.enter(index, "run")
        self._watch.of = tile.stop - tile.start
        self._watch.leave(counts)

    def _give_up(self, keep: int) -> None:
        """Cancel what has not begun, but for the first so many tasks."""
        for future in list(self._waiting)[keep:]:
            if future.cancel():
                del self._waiting[future]
