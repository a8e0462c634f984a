"""Run the groups of a plan, tile by tile and segment by segment, and pass the results to a sink."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from gdlab.engine.chunk_programs import ChunkPrograms, chunk_programs
from gdlab.engine.fill_values import fill_dtype, host_dtype
from gdlab.engine.layout import MEMORY, Layout, lay_out, rows_needed, tiles
from gdlab.engine.plan import Group, describe, outer_index, records
from gdlab.engine.program import Program, waited
from gdlab.engine.progress import Progress, ProgressTracker
from gdlab.engine.runner import Runner, Stopped
from gdlab.engine.sink import Sink, Variable

# Groups whose programs are compiled while another group runs.
AHEAD = 2


class Settings(NamedTuple):
    """Settings of an execution."""

    chunk: int | None = None  # runs of a chunk; None: chosen by `lay_out`
    tile: int | None = None  # runs of a tile; None: as many as memory allows
    axis: str | None = None  # where the runs are in the arrays of a step: "first" or "last"; None: chosen by `lay_out`
    check_every: int | None = None  # steps between two checks whether runs have ended; None: chosen by `lay_out`
    compact: bool = True  # whether runs that have ended are removed from the chunks
    progress: Callable[[Progress], None] = lambda progress: None
    stop: Callable[[], bool] = lambda: False  # called after each segment

    @property
    def of_layout(self) -> dict[str, Any]:
        """The arguments of `lay_out` among them."""
        return {name: getattr(self, name) for name in ("chunk", "tile", "axis", "check_every")}


DEFAULT_SETTINGS = Settings()


class Timing(NamedTuple):
    """Layout, memory and times of one group.

    `wait_seconds` and `run_seconds` are separate parts of the wall time. Programs are compiled in background threads
    while others run, so `compile_seconds` overlaps with both, and may exceed them.
    """

    label: str
    runs: int
    layout: Layout
    devices: int = 0
    memory: int = 0  # bytes
    programs: int = 0  # programs that were compiled
    compile_seconds: float = 0.0  # the sum over these programs
    wait_seconds: float = 0.0  # tracing programs, of the next groups too, and waiting for compilation
    run_seconds: float = 0.0  # running and storing the results


def execute(
    groups: Sequence[Group], sink: Sink, settings: Settings = DEFAULT_SETTINGS, mesh: Mesh | None = None
) -> list[Timing]:
    """Evaluate every run that the sink wants, on all devices of `mesh` (by default all devices of JAX).

    Raises:
        ValueError: a setting is wrong; see `check`.
        Stopped: `settings.stop` returned true.
    """
    check(settings)
    mesh = mesh or run_mesh()
    tracker = ProgressTracker(groups, settings.progress)
    timings = []
    ready: dict[int, ChunkPrograms] = {}
    compiling: dict[int, list[Program]] = {}
    for index, group in enumerate(groups):
        tracker.enter(index, "compile")
        began = time.perf_counter()
        for ahead in range(index, min(index + 1 + AHEAD, len(groups))):
            if ahead not in ready:
                layout = sink.layout(ahead) or layout_of(groups[ahead], settings, mesh)
                ready[ahead] = programs_of(groups[ahead], layout, mesh)
                compiling[ahead] = [] if sink.complete(ahead, groups[ahead]) else ready[ahead].compile()
        programs, complete = ready.pop(index), sink.complete(index, group)
        if not complete and sink.layout(index) is None and settings.chunk is None:
            programs = _fitting(group, programs, compiling[index])
        prepared = time.perf_counter() - began
        sink.begin(index, group, programs.layout, variables(group, programs))
        tracker.enter(index, "run")
        started, waited_before = time.perf_counter(), waited()
        runner = Runner(group, programs, compact=settings.compact, stop=settings.stop, report=tracker.within)
        for tile in tiles(group.size, programs.layout.tile):
            tracker.begin_tile(tile.stop - tile.start)
            runs = sink.wanted(index, tile)
            if len(runs):
                runner.run(runs, sink.tile(index, tile))
            tracker.end_tile(runner.counts if len(runs) else {})
            if settings.stop():
                raise Stopped
        compile_seconds = sum(program.compile_seconds for program in compiling[index])
        waits = waited() - waited_before
        timings.append(
            Timing(
                label=describe(group),
                runs=group.size,
                layout=runner.programs.layout,
                devices=mesh.size,
                memory=0 if complete else programs.memory,
                programs=len(compiling[index]),
                compile_seconds=compile_seconds,
                wait_seconds=prepared + waits,
                run_seconds=time.perf_counter() - started - waits,
            )
        )
    return timings


def check(settings: Settings) -> None:
    """Check the settings.

    Raises:
        ValueError: `chunk`, `tile` or `check_every` is below 1, or `axis` is neither "first" nor "last".
    """
    for name in ("chunk", "tile", "check_every"):
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    if settings.axis not in (None, "first", "last"):
        raise ValueError(f"axis must be 'first' or 'last', not {settings.axis!r}")


def run_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh with the single axis "run" over some devices, by default all devices of JAX."""
    found = list(jax.devices() if devices is None else devices)
    return jax.make_mesh((len(found),), ("run",), axis_types=(AxisType.Auto,), devices=found)


def variables(group: Group, programs: ChunkPrograms) -> dict[str, Variable]:
    """The results of a group: series first, then final results."""
    named = {}
    if programs.advance is not None:
        for name, leaf in programs.advance.result[1].items():
            shape = (records(group.process), *leaf.shape[4:])
            named[name] = Variable(fill_dtype(host_dtype(leaf.dtype)), shape, True)
    for name, leaf in programs.finish.result.items():
        named[name] = Variable(host_dtype(leaf.dtype), tuple(leaf.shape[3:]), False)
    return named


def layout_of(group: Group, settings: Settings, mesh: Mesh) -> Layout:
    """The layout of a group that has not been begun."""
    process = group.process
    return lay_out(
        group.outer_counts(),
        group.cost,
        records(process),
        process.steps,
        mesh.size,
        cached=mesh.devices.flat[0].platform == "cpu",
        **settings.of_layout,
    )


def programs_of(group: Group, layout: Layout, mesh: Mesh) -> ChunkPrograms:
    """The programs of a group, with enough chunks for its largest tile."""
    outer = outer_index(group.columns, group.outer, group.size)
    rows = max(
        rows_needed(np.bincount(outer[tile] - outer[tile][0]), layout.width) for tile in tiles(group.size, layout.tile)
    )
    return chunk_programs(group, layout, -(-rows // (mesh.size * layout.rows)), mesh)


def _fitting(group: Group, programs: ChunkPrograms, compiling: list[Program]) -> ChunkPrograms:
    """The programs, or the programs of a narrower layout if the compiler reports too high a memory use.

    Programs that this compiles are appended to `compiling`.
    """
    while programs.memory > 2 * MEMORY and programs.layout.chunk > 1:
        programs = programs_of(group, programs.layout.narrowed(), programs.mesh)
        compiling += programs.compile()
    return programs
