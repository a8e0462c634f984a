"""The runs of several groups side by side, from rung to rung; those that are dropped leave the devices."""

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

from gdlab.analysis.selection import STEP, score, sign
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
from gdlab.search.ladder import Contest

# What a step of a chunk costs beside its lanes, in operations: about two microseconds.
CHUNK = 2e4


class Raced(NamedTuple):
    """What a race leaves behind."""

    results: list[dict[str, np.ndarray]]  # of each group, [lanes, ...]
    series: set[str]  # the names of those that have records
    chunk: int  # lanes in a chunk, at most
    compile_seconds: float
    run_seconds: float


def race(
    groups: Sequence[Group],
    contests: Sequence[Contest],
    rungs: Sequence[int],
    metric: str,
    chunk: int | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Raced:
    """Run all groups to the first of the steps `rungs`, drop what the contests say, and so on to the last.

    The runs of the contests are numbered through the groups. All rungs but the last are multiples of the first, and
    that of the steps between two records; the groups are training runs. Beside what those give there is `rung`, the
    number of the rung that a run reached, or would have reached had it not ended by itself.

    Raises:
        SelectionError: no such metric, or one that has several values for a run.
        OutOfMemoryError: the runs do not fit into the memory of the devices all at once.
        ValueError: `chunk` below 1.
    """
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk must be at least 1, not {chunk}")
    mesh = run_mesh()
    towards = np.sum([contest.runs(len(rungs)) for contest in contests], axis=0)
    told = _Told(groups, towards, np.diff(rungs, prepend=0), progress)
    told("compile", 0, 0, 0.0, {})
    layouts = _layouts(groups, rungs, towards / towards[0], chunk, mesh)
    compiled = [programs_of(group, layout, mesh) for group, layout in zip(groups, layouts, strict=True)]
    found = [variables(group, of) for group, of in zip(groups, compiled, strict=True)]
    _refuse_metric(metric, found)
    fresh = [program for of in compiled for program in of.compile()]
    compile_seconds = sum(program.compile_seconds for program in fresh)
    _refuse_too_many(compiled, sum(group.size for group in groups), mesh)
    began = time.perf_counter()
    try:
        results = _raced(groups, compiled, found, contests, rungs, metric, told)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise OutOfMemoryError(_TOO_MANY) from error
    series = {name for named in found for name, variable in named.items() if variable.series}
    return Raced(results, series, max(layout.chunk for layout in layouts), compile_seconds, time.perf_counter() - began)


def _raced(
    groups: Sequence[Group],
    compiled: Sequence[ChunkPrograms],
    found: Sequence[Mapping[str, Variable]],
    contests: Sequence[Contest],
    rungs: Sequence[int],
    metric: str,
    told: "_Told",
) -> list[dict[str, np.ndarray]]:
    under_way = [_UnderWay(*one) for one in zip(groups, compiled, found, strict=True)]
    bounds = np.cumsum([0, *(group.size for group in groups)])
    reached = np.full(bounds[-1], len(rungs) - 1)
    for rung, (since, until) in enumerate(pairwise([0, *rungs])):
        for index, one in enumerate(under_way):
            one.run(since, until, partial(told, "run", index, rung))
        if until == rungs[-1]:
            break
        badness = _badness(metric, [one.ends() for one in under_way])
        gone = np.concatenate([contest.drop(rung, badness) for contest in contests])
        reached[gone] = rung
        for one, (low, high) in zip(under_way, pairwise(bounds), strict=True):
            one.drop(gone[(gone >= low) & (gone < high)] - low)
    results = []
    for one, (low, high) in zip(under_way, pairwise(bounds), strict=True):
        ended = one.results | one.ends()
        # A process takes a run that is alive to have taken all its steps.
        taken = np.asarray(rungs, np.int32)[reached[low:high]]
        capped = {name: np.minimum(ended[name], taken) for name in ("steps_taken", "diverged_at")}
        results.append(ended | capped | {"rung": reached[low:high].astype(np.int32)})
    return results


class _UnderWay:
    """The runs of one group, and what they have recorded."""

    def __init__(self, group: Group, of: ChunkPrograms, found: Mapping[str, Variable]) -> None:
        self._group, self._layout = group, of.layout
        self._tile = TileRun(group, of, np.arange(group.size))
        self.results = {name: fill_array((group.size, *v.shape), v.dtype) for name, v in found.items() if v.series}

    def run(self, since: int, until: int, told: Callable[[float, Mapping[str, int]], None]) -> None:
        """Go on from one step to another, segment by segment."""
        tile, length = self._tile, self._layout.blocks * self._group.process.every
        segments = range(since // length, -(-until // length))

        def between(segment: int, delivered: Callable[[], None]) -> None:
            told((segment + 1 - segments.start) / len(segments), tile.counts)

        tile.run(segments, self._receive, between)

    def ends(self) -> dict[str, np.ndarray]:
        """What each run ends with, if it goes no further."""
        return self._tile.results()

    def drop(self, lanes: np.ndarray) -> None:
        """Let some runs go; the others close up."""
        self._tile.release(lanes)
        self._tile.rebalance()

    def _receive(self, segment: int, sent: SegmentRecords) -> None:
        first = segment * self._layout.blocks
        for name, values in self._tile.records(sent).items():
            kept = self.results[name][:, first : first + self._layout.blocks]
            kept[...] = values[:, : kept.shape[1]]


class _Told:
    """Says how far a race is: work done as a share of all lanes."""

    def __init__(
        self, groups: Sequence[Group], runs: np.ndarray, steps: np.ndarray, progress: Callable[[Progress], None]
    ) -> None:
        self._groups, self._progress = groups, progress
        self._done = np.cumsum([0, *(runs * steps)]) / (runs * steps).sum()
        self._lanes = np.cumsum([0, *(group.size for group in groups)])
        self._status: dict[int, Mapping[str, int]] = {}

    def __call__(self, phase: str, group: int, rung: int, share: float, status: Mapping[str, int]) -> None:
        """So much of the way of a group to a rung is done; the groups before it are there."""
        self._status[group] = status
        names = {name for counts in self._status.values() for name in counts}
        counted = {name: sum(counts.get(name, 0) for counts in self._status.values()) for name in sorted(names)}
        within = self._lanes[group] + share * (self._lanes[group + 1] - self._lanes[group])
        low, high = self._done[rung], self._done[rung + 1]
        done = float(low * self._lanes[-1] + (high - low) * within)
        here = self._groups[group]
        self._progress(Progress(group, len(self._groups), describe(here), phase, done, int(self._lanes[-1]), counted))


def _layouts(
    groups: Sequence[Group], rungs: Sequence[int], shares: np.ndarray, chunk: int | None, mesh: Mesh
) -> list[Layout]:
    """The layouts of groups all of whose lanes are under way at once, in segments that end at every rung.

    On a CPU, where a chunk is not given, it is the one with which the devices have the least to do: wide chunks are
    cheap by the lane, but when few runs are left they are mostly empty.
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
    # Of the parts into which the records up to the first rung can be cut those nearest to what is wanted.
    first, wanted = -(-rungs[0] // every), max(1, rungs[0] // LONGEST)
    parts = min((n for n in range(1, first + 1) if first % n == 0), key=lambda n: abs(math.log(n / wanted)))
    return layout._replace(blocks=first // parts, segments=-(-total * parts // first))


def _work(group: Group, layout: Layout, shares: np.ndarray, steps: np.ndarray, mesh: Mesh) -> float:
    """Operations of the busiest device, when such shares of the lanes take so many steps."""
    each = layout.chunk * group.cost.block / group.process.every + CHUNK
    rows = [rows_needed(np.ceil(group.outer_counts() * share).astype(int), layout.width) for share in shares]
    return each * sum(-(-count // (mesh.size * layout.rows)) * n for count, n in zip(rows, steps, strict=True))


def _refuse_metric(metric: str, found: Sequence[Mapping[str, Variable]]) -> None:
    import xarray

    known = {name: v for name, v in found[0].items() if all(name in other for other in found)}
    dims = {name: ["run", *([STEP] * v.series)] for name, v in known.items()}
    blank = {name: (own, np.zeros((0,) * len(own), known[name].dtype)) for name, own in dims.items()}
    score(xarray.Dataset(blank), metric)
    if known[metric].shape:
        raise SelectionError(f"{metric} has several values for each run: it can't rank them")


def _badness(metric: str, ends: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
    """The metric of each run of all groups, the least the best, infinite for one that diverged."""
    import xarray

    joined = {name: ("run", np.concatenate([one[name] for one in ends])) for name in {metric, "diverged_at"}}
    return sign(metric) * score(xarray.Dataset(joined), metric).values


_TOO_MANY = (
    "the runs do not fit into the memory of the devices all at once, as they must where some of them are to go on: "
    "fewer points or seeds, longer intervals between records, or one rule at a time may"
)


def _refuse_too_many(compiled: Sequence[ChunkPrograms], runs: int, mesh: Mesh) -> None:
    needed, there = sum(of.memory for of in compiled), _memory(mesh)
    if needed > there:
        raise OutOfMemoryError(f"{_TOO_MANY} ({runs} runs need {needed / 1e9:.1f} GB, and there are {there / 1e9:.1f})")


def _memory(mesh: Mesh) -> int:
    """Bytes that the devices have, together."""
    told = [device.memory_stats() for device in mesh.devices.flat]
    if all(told):
        return sum(int(one["bytes_limit"]) for one in told)
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
