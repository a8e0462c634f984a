"""Run the groups of a plan on the workers of an executor, one tile per task; only this process writes to the sink."""

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from gdlab.engine.execute import Settings, Timing, check, programs_of, run_mesh, variables
from gdlab.engine.executor_adapter import PAUSE, ExecutorAdapter, Source, WorkersError, lost_workers
from gdlab.engine.layout import Layout, lay_out, tiles
from gdlab.engine.messages import CommonSettings, GroupsNeeded, TaskDone, TaskFailed, TileTask, WorkerRejected
from gdlab.engine.plan import Group, describe, records
from gdlab.engine.progress import ProgressTracker
from gdlab.engine.runner import Stopped
from gdlab.engine.sink import Sink
from gdlab.engine.worker import device_lock, digest, jax_settings, versions, work

# The approximate number of tiles per worker: enough that all workers finish at about the same time.
TILES_PER_WORKER = 4
# Submitted tasks per worker.
AHEAD = 2
# Failures that an error message lists.
LISTED = 8


class Failure(NamedTuple):
    """Runs of a group whose task raised an exception on its worker."""

    group: int
    label: str
    runs: slice
    reason: str


class FailedRunsError(Exception):
    """Some tasks failed. All others are done, and their results are in the sink.

    `failures` lists the runs that failed. `data` is a Dataset of all results, with fill values for these runs; it
    is None if the results are written to a folder.
    """

    def __init__(self, failures: Sequence[Failure]) -> None:
        lines = [f"  {f.label}, runs {f.runs.start} to {f.runs.stop - 1}: {f.reason}" for f in failures[:LISTED]]
        more = [f"  and {len(failures) - LISTED} more"] if len(failures) > LISTED else []
        super().__init__("\n".join(["some runs failed; the others are done", *lines, *more]))
        self.failures = tuple(failures)
        self.data: Any = None


class _SubmittedTask(NamedTuple):
    """A task, and the tile of the runs that it computes."""

    task: TileTask
    tile: slice


def execute_on(executor: Any, groups: Sequence[Group], source: Source, sink: Sink, settings: Settings) -> list[Timing]:
    """Evaluate every run that the sink wants, on the workers of an executor.

    Each worker calls `source` once to get the groups. `source` is usually a `functools.partial` of a module's function.
    A task uses all devices of its worker's process, and may run more than once. If the layouts are equal, the results
    equal those of `execute` bit for bit. Times are sums over all workers; waits for compilation are not measured.

    Args:
        executor: an `ExecutorAdapter`, or an executor that it accepts.

    Raises:
        WorkersError: the workers can't be used, or are lost; the results so far are in the sink.
        FailedRunsError: some tasks raised an exception; all others are done.
        ValueError: see `execute`.
        Stopped: `settings.stop` returned true. Tasks that had begun were completed, the others cancelled.
    """
    check(settings)
    adapter = executor if isinstance(executor, ExecutorAdapter) else ExecutorAdapter(executor)
    return _Execution(adapter, groups, source, sink, settings).run()


class _Execution:
    def __init__(
        self, adapter: ExecutorAdapter, groups: Sequence[Group], source: Source, sink: Sink, settings: Settings
    ) -> None:
        self._adapter, self._groups, self._sink, self._settings = adapter, groups, sink, settings
        key, self._source = adapter.pack(source)
        self._common = CommonSettings(versions(), jax_settings(), key, digest(groups), settings.compact)
        self._tracker = ProgressTracker(groups, settings.progress)
        self._submitted: dict[Any, _SubmittedTask] = {}  # by future, in order of submission
        self._timings: list[Timing] = []
        self._failures: list[Failure] = []

    def run(self) -> list[Timing]:
        tasks, stopped = self._tasks(), False
        try:
            while True:
                if self._settings.stop() and not stopped:
                    tasks, stopped = iter(()), True
                    self._cancel(keep=self._adapter.size)  # executors begin tasks in order of submission
                self._submit(tasks)
                if not self._submitted:
                    break
                done = [future for future in self._submitted if future.done()]
                if not done:
                    time.sleep(PAUSE)
                for future in done:
                    self._take(future, stopped)
        except BaseException:
            self._cancel(keep=0)
            raise
        if stopped:
            raise Stopped
        if self._failures:
            raise FailedRunsError(self._failures)
        return self._timings

    def _tasks(self) -> Iterator[_SubmittedTask]:
        """Yields all tasks. A group begins when its first task is requested."""
        mesh = run_mesh()
        for index, group in enumerate(self._groups):
            self._tracker.enter(index, "compile")
            layout = self._sink.layout(index) or self._layout_of(group)
            with device_lock:
                named = variables(group, programs_of(group, layout, mesh))
            self._sink.begin(index, group, layout, named)
            self._timings.append(Timing(describe(group), group.size, layout))
            for tile in tiles(group.size, layout.tile):
                runs = self._sink.wanted(index, tile)
                if len(runs):
                    yield _SubmittedTask(TileTask(index, runs, layout), tile)
                else:
                    self._end_tile(index, tile, {})

    def _layout_of(self, group: Group) -> Layout:
        """The layout of a group that has not been begun: tiles of whole chunks, about `TILES_PER_WORKER` per worker."""
        worker, workers, process = self._adapter.worker_info, self._adapter.size, group.process
        layout = lay_out(
            group.outer_counts(),
            group.cost,
            records(process),
            process.steps,
            workers * worker.devices,
            cached=worker.platform == "cpu",
            **self._settings.of_layout,
        )
        if self._settings.tile is not None:
            return layout
        share = sum(each.size for each in self._groups) / (TILES_PER_WORKER * workers)
        whole = layout.chunk * worker.devices
        return layout._replace(tile=min(layout.tile, math.ceil(share / whole) * whole))

    def _submit(self, tasks: Iterator[_SubmittedTask]) -> None:
        most = AHEAD * self._adapter.size
        while len(self._submitted) < most and (one := next(tasks, None)) is not None:
            self._submitted[self._adapter.submit(work, self._common, None, one.task)] = one

    def _take(self, future: Any, stopped: bool) -> None:
        """Handle the outcome of a task."""
        submitted = self._submitted.pop(future)
        index, tile = submitted.task.group, submitted.tile
        try:
            with lost_workers():
                outcome = future.result()
        except WorkersError:
            raise
        except Exception as error:  # from the executor, for example that a task has lost several workers
            outcome = TaskFailed(f"{type(error).__name__}: {error}")
        match outcome:
            case GroupsNeeded() if not stopped:
                again = self._adapter.submit(work, self._common, self._source, submitted.task)
                self._submitted[again] = submitted
            case GroupsNeeded():
                pass
            case WorkerRejected(reason):
                raise WorkersError(reason)
            case TaskFailed(reason):
                self._failures.append(Failure(index, describe(self._groups[index]), tile, reason))
                self._end_tile(index, tile, {})
            case TaskDone():
                writer = self._sink.tile(index, tile)
                writer.resumed()  # discards what the sink holds of an unfinished tile
                for first, values in outcome.records:
                    writer.series(first, values)
                writer.write(outcome.results)
                self._add_time(index, outcome)
                self._end_tile(index, tile, outcome.counts)

    def _add_time(self, index: int, done: TaskDone) -> None:
        timing = self._timings[index]
        self._timings[index] = timing._replace(
            devices=max(timing.devices, done.devices),
            memory=max(timing.memory, done.memory),
            programs=timing.programs + done.programs,
            compile_seconds=timing.compile_seconds + done.compile_seconds,
            run_seconds=timing.run_seconds + done.run_seconds,
        )

    def _end_tile(self, index: int, tile: slice, counts: Any) -> None:
        self._tracker.enter(index, "run")
        self._tracker.begin_tile(tile.stop - tile.start)
        self._tracker.end_tile(counts)

    def _cancel(self, keep: int) -> None:
        """Cancel the tasks that have not begun, except for the first `keep` tasks."""
        for future in list(self._submitted)[keep:]:
            if future.cancel():
                del self._submitted[future]
