"""Run the groups of a plan, tile by tile and segment by segment, and hand the results to a sink."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from gdlab.engine.autotune import tuned
from gdlab.engine.chunk_programs import Programs, programs
from gdlab.engine.fill_values import on_host
from gdlab.engine.layout import MEMORY, Layout, lay_out, rows_needed, tiles
from gdlab.engine.plan import Group, describe, outer_index, records
from gdlab.engine.program import Program
from gdlab.engine.progress import Progress, Watch
from gdlab.engine.runner import Runner, Stopped
from gdlab.engine.sink import Sink, Variable

# Groups whose programs are compiled while one runs.
AHEAD = 2


class Settings(NamedTuple):
    """What a caller may decide about an execution."""

    chunk: int | None = None  # lanes in a chunk; None: as many as suit
    tile: int | None = None  # lanes under way at once; None: as many as memory allows
    memory: Path | None = None  # where chunks that were measured are remembered; None: in this process only
    compact: bool = True  # whether lanes that have ended make room
    progress: Callable[[Progress], None] = lambda progress: None
    stop: Callable[[], bool] = lambda: False  # asked after each segment
    note: Callable[[str], None] = lambda text: None  # called with what is worth saying of how a group was laid out


NO_WISHES = Settings()


class Timing(NamedTuple):
    """What one group took."""

    label: str
    lanes: int
    layout: Layout
    devices: int
    memory: int
    compile_seconds: float
    run_seconds: float


def execute(
    groups: Sequence[Group], sink: Sink, settings: Settings = NO_WISHES, mesh: Mesh | None = None
) -> list[Timing]:
    """Evaluate every lane of every group that the sink wants, on all devices of `mesh` (by default all there are).

    Raises:
        ValueError: `settings.chunk` or `settings.tile` below 1.
        Stopped: `settings.stop` said so.
    """
    check(settings)
    mesh = mesh or run_mesh()
    watch = Watch(groups, settings.progress)
    timings = []
    ready: dict[int, Programs] = {}
    fresh: dict[int, list[Program]] = {}
    for index, group in enumerate(groups):
        watch.enter(index, "compile")
        for ahead in range(index, min(index + 1 + AHEAD, len(groups))):
            if ahead not in ready:
                layout = sink.layout(ahead) or layout_of(groups[ahead], settings, mesh)
                ready[ahead] = programs_of(groups[ahead], layout, mesh)
                fresh[ahead] = [] if sink.complete(ahead, groups[ahead]) else ready[ahead].compile()
        compiled, complete = ready.pop(index), sink.complete(index, group)
        if not complete and sink.layout(index) is None and settings.chunk is None:
            compiled = _fit(group, compiled)
        sink.begin(index, group, compiled.layout, variables(group, compiled))
        watch.enter(index, "run")
        started = time.perf_counter()
        runner = Runner(group, compiled, compact=settings.compact, stop=settings.stop, told=watch.within)
        for tile in tiles(group.size, compiled.layout.tile):
            watch.of = tile.stop - tile.start
            lanes = sink.wanted(index, tile)
            if len(lanes):
                runner.run(lanes, sink.tile(index, tile))
            watch.leave(runner.counts if len(lanes) else {})
            if settings.stop():
                raise Stopped
        timings.append(
            Timing(
                label=describe(group),
                lanes=group.size,
                layout=runner.of.layout,
                devices=mesh.size,
                memory=0 if complete else compiled.memory,
                compile_seconds=sum(program.compile_seconds for program in fresh[index]),
                run_seconds=time.perf_counter() - started,
            )
        )
    return timings


def check(settings: Settings) -> None:
    """Refuse what can't be.

    Raises:
        ValueError: `chunk` or `tile` below 1.
    """
    for name in ("chunk", "tile"):
        asked = getattr(settings, name)
        if asked is not None and asked < 1:
            raise ValueError(f"{name} must be at least 1, not {asked}")


def run_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh of one axis, called run, over some devices, by default all."""
    found = list(jax.devices() if devices is None else devices)
    return jax.make_mesh((len(found),), ("run",), axis_types=(AxisType.Auto,), devices=found)


def variables(group: Group, compiled: Programs) -> dict[str, Variable]:
    """The results of a group: its series first, then what it finishes with."""
    named = {}
    if compiled.advance is not None:
        for name, leaf in compiled.advance.result[1].items():
            shape = (records(group.process), *leaf.shape[4:])
            named[name] = Variable(on_host(leaf.dtype), shape, True)
    for name, leaf in compiled.finish.result.items():
        named[name] = Variable(on_host(leaf.dtype), tuple(leaf.shape[3:]), False)
    return named


def layout_of(group: Group, settings: Settings, mesh: Mesh) -> Layout:
    """How a group is laid out, if it has not been before."""
    lanes = group.sharing()
    cached = mesh.devices.flat[0].platform == "cpu"

    def with_chunk(chunk: int | None) -> Layout:
        process = group.process
        return lay_out(
            lanes,
            group.cost,
            records(process),
            process.steps,
            mesh.size,
            cached=cached,
            chunk=chunk,
            tile=settings.tile,
        )

    if settings.chunk:
        return with_chunk(settings.chunk)
    return tuned(group, mesh, with_chunk, settings.memory, settings.note)


def programs_of(group: Group, layout: Layout, mesh: Mesh) -> Programs:
    """The programs of a group, with room for any of its tiles."""
    outer = outer_index(group.columns, group.outer, group.size)
    rows = max(
        rows_needed(np.bincount(outer[tile] - outer[tile][0]), layout.width) for tile in tiles(group.size, layout.tile)
    )
    return programs(group, layout, -(-rows // (mesh.size * layout.rows)), mesh)


def _fit(group: Group, compiled: Programs) -> Programs:
    """The programs, or, where the compiler says that they need too much memory, those of a narrower layout."""
    while compiled.memory > 2 * MEMORY and compiled.layout.chunk > 1:
        compiled = programs_of(group, compiled.layout.narrowed(), compiled.mesh)
    return compiled
