"""Training of all runs of several groups from rung to rung; dropped runs are removed from the programs."""

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from gdlab.analysis.selection import STEP, Direction, score, sign_of
from gdlab.engine.chunk_programs import ChunkPrograms
from gdlab.engine.execute import programs_of, run_mesh, variables
from gdlab.engine.fill_values import fill_array
from gdlab.engine.layout import LONGEST, VECTOR, Layout, lay_out, rows_needed
from gdlab.engine.plan import Group, describe, records
from gdlab.engine.progress import Progress
from gdlab.engine.runner import OutOfMemoryError
from gdlab.engine.sink import Variable
from gdlab.engine.tile_run import SegmentRecords, TileRun
from gdlab.errors import SelectionError
from gdlab.search.brackets import Bracket

# The overhead of one step of a chunk, in operations (about two microseconds).
CHUNK_OVERHEAD = 2e4


class RungResults(NamedTuple):
    """The results of `run_rungs`."""

    results: list[dict[str, np.ndarray]]  # of each group, [runs, ...]
    series: set[str]  # the names of the results with a value per record
    chunk: int  # the largest number of runs in a chunk
    compile_seconds: float
    run_seconds: float


def run_rungs(
    groups: Sequence[Group],
    brackets: Sequence[Bracket],
    rungs: Sequence[int],
    metric: str,
    direction: Direction | None = None,
    chunk: int | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> RungResults:
    """Train the runs of all groups up to each of the steps `rungs` in turn; after each but the last, runs are dropped.

    The results of each run include `rung`, the index of the rung at which the run was dropped, or of the last rung.

    Args:
        groups: groups of training runs.
        brackets: the brackets; in them, the indices of runs are consecutive over the groups.
        rungs: the steps of the rungs, ascending. All but the last are multiples of the first, and the first is a
            multiple of the steps between two records.
        metric: the result by which runs are ranked.
        direction: "min" or "max", the better direction of the metric; by default it is determined by the name.
        chunk, progress: see `gdlab.sweep`.

    Raises:
        SelectionError: no such metric, or a metric with several values per run.
        OutOfMemoryError: the memory of the devices is too small to hold all runs at once.
        ValueError: `chunk` below 1.
    """
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk must be at least 1, not {chunk}")
    mesh = run_mesh()
    counts = np.sum([bracket.run_counts(len(rungs)) for bracket in brackets], axis=0)
    report = _ProgressReport(groups, counts, np.diff(rungs, prepend=0), progress)
    report("compile", 0, 0, 0.0, {})
    layouts = _layouts(groups, rungs, counts / counts[0], chunk, mesh)
    compiled = [programs_of(group, layout, mesh) for group, layout in zip(groups, layouts, strict=True)]
    found = [variables(group, of) for group, of in zip(groups, compiled, strict=True)]
    _refuse_metric(metric, found)
    fresh = [program for of in compiled for program in of.compile()]
    compile_seconds = sum(program.compile_seconds for program in fresh)
    _refuse_too_many(compiled, sum(group.size for group in groups), mesh)
    began = time.perf_counter()
    try:
        results = _trained(groups, compiled, found, brackets, rungs, metric, direction, report)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise OutOfMemoryError(_TOO_MANY) from error
    series = {name for named in found for name, variable in named.items() if variable.series}
    run_seconds = time.perf_counter() - began
    return RungResults(results, series, max(layout.chunk for layout in layouts), compile_seconds, run_seconds)


def _trained(
    groups: Sequence[Group],
    compiled: Sequence[ChunkPrograms],
    found: Sequence[Mapping[str, Variable]],
    brackets: Sequence[Bracket],
    rungs: Sequence[int],
    metric: str,
    direction: Direction | None,
    report: "_ProgressReport",
) -> list[dict[str, np.ndarray]]:
    training = [_GroupRun(*one) for one in zip(groups, compiled, found, strict=True)]
    bounds = np.cumsum([0, *(group.size for group in groups)])
    reached = np.full(bounds[-1], len(rungs) - 1)
    for rung, (since, until) in enumerate(pairwise([0, *rungs])):
        for index, one in enumerate(training):
            one.run(since, until, partial(report, "run", index, rung))
        if until == rungs[-1]:
            break
        badness = _badness(metric, direction, [one.ends() for one in training])
        dropped = np.concatenate([bracket.drop(rung, badness) for bracket in brackets])
        reached[dropped] = rung
        for one, (low, high) in zip(training, pairwise(bounds), strict=True):
            one.drop(dropped[(dropped >= low) & (dropped < high)] - low)
    results = []
    for one, (low, high) in zip(training, pairwise(bounds), strict=True):
        ended = one.results | one.ends()
        # The process reports all steps of a full run for every run that is alive, so the steps are capped at the rung.
        taken = np.asarray(rungs, np.int32)[reached[low:high]]
        capped = {name: np.minimum(ended[name], taken) for name in ("steps_taken", "diverged_at")}
        results.append(ended | capped | {"rung": reached[low:high].astype(np.int32)})
    return results


class _GroupRun:
    """The runs of one group and their records."""

    def __init__(self, group: Group, of: ChunkPrograms, found: Mapping[str, Variable]) -> None:
        self._group, self._layout = group, of.layout
        self._tile = TileRun(group, of, np.arange(group.size))
        self.results = {name: fill_array((group.size, *v.shape), v.dtype) for name, v in found.items() if v.series}

    def run(self, since: int, until: int, report: Callable[[float, Mapping[str, int]], None]) -> None:
        """Train from step `since` to step `until`, segment by segment."""
        tile, length = self._tile, self._layout.blocks * self._group.process.every
        segments = range(since // length, -(-until // length))

        def between(segment: int, delivered: Callable[[], None]) -> None:
            report((segment + 1 - segments.start) / len(segments), tile.counts)

        tile.run(segments, self._receive, between)

    def ends(self) -> dict[str, np.ndarray]:
        """The results of each run at its current step."""
        return self._tile.results()

    def drop(self, runs: np.ndarray) -> None:
        """Remove runs and compact the others."""
        self._tile.release(runs)
        self._tile.rebalance()

    def _receive(self, segment: int, sent: SegmentRecords) -> None:
        first = segment * self._layout.blocks
        for name, values in self._tile.records(sent).items():
            kept = self.results[name][:, first : first + self._layout.blocks]
            kept[...] = values[:, : kept.shape[1]]


class _ProgressReport:
    """Reports progress: the completed fraction of the work, in units of runs."""

    def __init__(
        self, groups: Sequence[Group], runs: np.ndarray, steps: np.ndarray, progress: Callable[[Progress], None]
    ) -> None:
        self._groups, self._progress = groups, progress
        self._done = np.cumsum([0, *(runs * steps)]) / (runs * steps).sum()
        self._bounds = np.cumsum([0, *(group.size for group in groups)])
        self._status: dict[int, Mapping[str, int]] = {}

    def __call__(self, phase: str, group: int, rung: int, share: float, status: Mapping[str, int]) -> None:
        """Report that `group` has done the fraction `share` of its steps up to `rung`; earlier groups are at `rung`."""
        self._status[group] = status
        names = {name for counts in self._status.values() for name in counts}
        counted = {name: sum(counts.get(name, 0) for counts in self._status.values()) for name in sorted(names)}
        within = self._bounds[group] + share * (self._bounds[group + 1] - self._bounds[group])
        low, high = self._done[rung], self._done[rung + 1]
        done = float(low * self._bounds[-1] + (high - low) * within)
        here = self._groups[group]
        self._progress(Progress(group, len(self._groups), describe(here), phase, done, int(self._bounds[-1]), counted))


def _layouts(
    groups: Sequence[Group], rungs: Sequence[int], shares: np.ndarray, chunk: int | None, mesh: Mesh
) -> list[Layout]:
    """The layouts of groups whose runs are all on the devices at once, in segments that end at every rung.

    On a CPU, the default chunk minimises the estimated work of the devices: a wide chunk is cheaper per run, but is
    mostly empty when few runs are left.
    """
    widest = [_layout(group, rungs, chunk, mesh) for group in groups]
    if chunk is not None or mesh.devices.flat[0].platform != "cpu":
        return widest
    chunks = [VECTOR << k for k in range(max(layout.chunk for layout in widest).bit_length())]
    found = [[_layout(group, rungs, most, mesh) for group in groups] for most in chunks]
    steps = np.diff(rungs, prepend=0)

    def work(layouts: Sequence[Layout]) -> float:
        return sum(_work(g, layout, shares, steps, mesh) for g, layout in zip(groups, layouts, strict=True))

    return min(found, key=work)


def _layout(group: Group, rungs: Sequence[int], chunk: int | None, mesh: Mesh) -> Layout:
    every, total = group.process.every, records(group.process)
    cached = mesh.devices.flat[0].platform == "cpu"
    settings: dict[str, Any] = {"cached": cached, "chunk": chunk, "tile": group.size}
    layout = lay_out(group.outer_counts(), group.cost, total, group.process.steps, mesh.size, **settings)
    # `parts`, the number of segments up to the first rung, divides the number of records up to it; it is the divisor
    # nearest to `wanted`.
    first, wanted = -(-rungs[0] // every), max(1, rungs[0] // LONGEST)
    parts = min((n for n in range(1, first + 1) if first % n == 0), key=lambda n: abs(math.log(n / wanted)))
    return layout._replace(blocks=first // parts, segments=-(-total * parts // first))


def _work(group: Group, layout: Layout, shares: np.ndarray, steps: np.ndarray, mesh: Mesh) -> float:
    """Operations of the busiest device if the fractions `shares` of the runs take the numbers of steps `steps`."""
    each = layout.chunk * group.cost.block / group.process.every + CHUNK_OVERHEAD
    rows = [rows_needed(np.ceil(group.outer_counts() * share).astype(int), layout.width) for share in shares]
    return each * sum(-(-count // (mesh.size * layout.rows)) * n for count, n in zip(rows, steps, strict=True))


def _refuse_metric(metric: str, found: Sequence[Mapping[str, Variable]]) -> None:
    import xarray

    known = {name: v for name, v in found[0].items() if all(name in other for other in found)}
    dims = {name: ["run", *([STEP] * v.series)] for name, v in known.items()}
    empty = {name: (own, np.zeros((0,) * len(own), known[name].dtype)) for name, own in dims.items()}
    score(xarray.Dataset(empty), metric)
    if known[metric].shape:
        raise SelectionError(f"{metric} has several values per run, so it can't rank runs; choose a scalar metric")


def _badness(metric: str, direction: Direction | None, ends: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
    """The metric of each run of all groups, negated if larger is better; infinite for a diverged run."""
    import xarray

    names = {metric, "diverged_at", "steps_taken"}
    data = xarray.Dataset({name: ("run", np.concatenate([one[name] for one in ends])) for name in names})
    return sign_of(data, metric, direction) * score(data, metric, direction=direction).values


_TOO_MANY = (
    "the memory of the devices is too small: successive halving holds all runs at once; "
    "use fewer points or seeds, more steps between records (every=), or one rule at a time"
)


def _refuse_too_many(compiled: Sequence[ChunkPrograms], runs: int, mesh: Mesh) -> None:
    needed, available = sum(of.memory for of in compiled), _memory(mesh)
    if needed > available:
        sizes = f"{runs} runs need {needed / 1e9:.1f} GB; the devices have {available / 1e9:.1f} GB"
        raise OutOfMemoryError(f"{_TOO_MANY} ({sizes})")


def _memory(mesh: Mesh) -> int:
    """The total memory of the devices in bytes; the memory of the host if the devices do not report theirs."""
    stats = [device.memory_stats() for device in mesh.devices.flat]
    if all(stats):
        return sum(int(one["bytes_limit"]) for one in stats)
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
