"""Run one tile: advance its runs segment by segment, remove runs that have ended and compact the others."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from gdlab.engine.chunk_programs import ChunkPrograms, arguments, by_slot, chunk_programs, gather
from gdlab.engine.fill_values import fill_array, fill_dtype, host_dtype
from gdlab.engine.layout import Layout, arrange
from gdlab.engine.plan import Group, outer_index

# Runs are compacted if at most this share of the chunks remains: moving them costs about as much as a few steps.
REMAINING = 0.8


class Checkpoint(NamedTuple):
    """The state of a tile after some segments, as NumPy arrays."""

    segment: int  # the next segment
    layout: Layout
    chunks: int
    slots: np.ndarray
    carry: list[np.ndarray]
    status: dict[str, np.ndarray]
    results: dict[str, np.ndarray]

    def on(self, devices: int) -> "Checkpoint":
        """The checkpoint for another number of devices: the same rows, distributed over the new devices."""
        if len(self.slots) == devices * self.chunks:
            return self
        rows, width = self.layout.rows, self.layout.width
        filled = np.flatnonzero((self.slots >= 0).any(axis=2))
        chunks = max(1, -(-len(filled) // (devices * rows)))
        # Rows are assigned to the devices in turn.
        target = np.arange(devices * chunks * rows).reshape(devices, -1).T.reshape(-1)
        source = np.full(len(target), -1)
        source[target[: len(filled)]] = filled

        def moved(array: np.ndarray) -> np.ndarray:
            taken = array.reshape(self.slots.size // width, *array.shape[2:])[np.maximum(source, 0)]
            return taken.reshape(devices * chunks, rows, *array.shape[2:])

        slots = np.where((source < 0).reshape(-1, rows, 1), -1, moved(self.slots))
        return self._replace(chunks=chunks, slots=slots, carry=[moved(leaf) for leaf in self.carry])


class SegmentRecords(NamedTuple):
    """The records of a segment, on the devices, which may still be computing them."""

    record: Mapping[str, Any]
    slots: np.ndarray


class TileRun:
    """Advances some runs of a group. `runs` are their numbers in the group; runs that share work are neighbours."""

    _slots: np.ndarray  # [devices * chunks, rows, width]: the index into `runs` of each slot's run, -1 if empty
    _arguments: tuple[Any, ...]
    _count: Any  # for each device, how many of its chunks hold a run

    def __init__(
        self, group: Group, programs: ChunkPrograms, runs: np.ndarray, checkpoint: Checkpoint | None = None
    ) -> None:
        self._group, self._programs, self._runs = group, programs, runs
        columns = {name: column[runs] for name, column in group.columns.items()}
        self._outer = outer_index(columns, group.outer, len(runs))
        self._results: dict[str, np.ndarray] = {}
        self._finished = False  # whether the results were computed from the current carry
        self.status: dict[str, np.ndarray] = {}  # of each run, after the last segment
        if checkpoint is not None:
            self._restore(checkpoint)
            return
        self._place(arrange(self._outer, programs.layout, programs.mesh.size, programs.chunks))
        self._carry = programs.start(*self._arguments)

    @property
    def size(self) -> int:
        """The number of runs, including those that have ended."""
        return len(self._runs)

    @property
    def alive(self) -> int:
        """The number of runs that were alive after the last segment."""
        return int(self.status["alive"].sum())

    @property
    def counts(self) -> dict[str, int]:
        """The number of runs that had each status after the last segment."""
        return {name: int(values.sum()) for name, values in self.status.items()}

    def advance(self, segment: int) -> SegmentRecords:
        """Start a segment on the devices, without waiting for it."""
        assert self._programs.advance is not None
        first = self._put(np.int32(segment * self._programs.layout.blocks * self._group.process.every), split=False)
        self._carry, record, self._new_status = self._programs.advance(
            *self._arguments, self._count, self._carry, first
        )
        self._finished = False
        return SegmentRecords(record, self._slots)

    def run(
        self,
        segments: range,
        deliver: Callable[[int, SegmentRecords], None],
        between: Callable[[int, Callable[[], None]], None],
        compact: bool = True,
    ) -> None:
        """Advance through some segments, or until no run is alive; `deliver` takes the records of each segment.

        The records of a segment are delivered while the devices compute the next one. After each segment
        `between(segment, delivered)` is called; calling `delivered` delivers its records at once.
        """
        waiting: list[tuple[int, SegmentRecords]] = []

        def delivered() -> None:
            while waiting:
                deliver(*waiting.pop())

        for segment in segments:
            if self.status and not self.alive:
                break
            sent = self.advance(segment)
            delivered()
            waiting.append((segment, sent))
            self.wait()
            if compact and self.alive and segment + 1 < segments.stop:
                self.compact()
            between(segment, delivered)
        delivered()

    def wait(self) -> None:
        """Wait for the segment, and read the status of each run."""
        for name, values in self._new_status.items():
            self._scatter(values, self._slots, self.status.setdefault(name, np.zeros(self.size, bool)))

    def records(self, sent: SegmentRecords) -> dict[str, np.ndarray]:
        """The records of a segment, [runs, records, ...]; fill values for runs that were removed before it."""
        filled = {}
        for name, values in sent.record.items():
            empty = fill_array((self.size, *values.shape[3:]), fill_dtype(host_dtype(values.dtype)))
            filled[name] = self._scatter(values, sent.slots, empty)
        return filled

    def compact(self) -> None:
        """Remove runs that have ended, if the others then fit into fewer chunks."""
        programs = self._programs
        used = int(self._used(self._slots).max())
        if -(-self.alive // (programs.mesh.size * programs.layout.chunk)) > REMAINING * used:
            return  # too many are alive for any arrangement
        slots, source = (array.reshape(self._slots.shape) for array in self._stacked(programs.mesh.size))
        if int(self._used(slots).max()) > min(REMAINING * used, used - 1):
            return
        self._collect_ended()
        self._carry = gather(programs)(self._carry, self._put(source.astype(np.int32)))
        self._place(slots)

    def release(self, runs: np.ndarray) -> None:
        """End some runs now, whatever their status; their results are computed from their current carry."""
        gone = np.isin(self._slots, runs)
        self._collect(np.where(gone, self._slots, -1))
        self.status["alive"][runs] = False
        self._slots = np.where(gone, -1, self._slots)
        self._count = self._put(self._used(self._slots))

    def rebalance(self) -> None:
        """Distribute the runs that are alive evenly over the devices. They are copied through the host, since devices
        never communicate."""
        if not self.alive:
            return
        self._collect_ended()
        slots, source = self._balanced()
        now = self.checkpoint(0)
        carry = [by_slot(leaf)[source] for leaf in now.carry]
        self._restore(now._replace(slots=slots, carry=carry))

    def results(self) -> dict[str, np.ndarray]:
        """The final results of each run, [runs, ...]; for a run that is alive, from its current carry."""
        self._collect(self._slots)
        self._finished = True
        return self._results

    def checkpoint(self, segment: int) -> Checkpoint:
        """The current state, copied to the host. `segment` is the index of the next segment."""
        leaves = [np.array(_on_host(_key_data(leaf))) for leaf in jax.tree.leaves(self._carry)]
        programs = self._programs
        status, results = _copied(self.status), _copied(self._results)
        return Checkpoint(segment, programs.layout, programs.chunks, self._slots, leaves, status, results)

    def _restore(self, checkpoint: Checkpoint) -> None:
        checkpoint = checkpoint.on(self._programs.mesh.size)
        if (checkpoint.layout, checkpoint.chunks) != (self._programs.layout, self._programs.chunks):
            self._programs = chunk_programs(self._group, checkpoint.layout, checkpoint.chunks, self._programs.mesh)
        shapes, structure = jax.tree.flatten(self._programs.start.result)
        leaves = [_wrapped(self._put(raw), like) for raw, like in zip(checkpoint.carry, shapes, strict=True)]
        self._carry = jax.tree.unflatten(structure, leaves)
        self.status, self._results = _copied(checkpoint.status), _copied(checkpoint.results)
        self._place(checkpoint.slots)

    def _place(self, slots: np.ndarray) -> None:
        self._slots = slots
        fixed, *others = arguments(self._group, self._runs, slots)
        self._arguments = (jax.tree.map(lambda leaf: self._put(leaf, split=False), fixed), *map(self._put_all, others))
        self._count = self._put(self._used(slots))

    def _used(self, slots: np.ndarray) -> np.ndarray:
        """For each device, the number of chunks up to its last one that holds a run."""
        filled = (slots >= 0).any(axis=(1, 2)).reshape(self._programs.mesh.size, -1)
        return np.where(filled, np.arange(1, filled.shape[1] + 1), 0).max(axis=1).astype(np.int32)

    def _stacked(self, pools: int) -> tuple[np.ndarray, np.ndarray]:
        """The runs that are alive, moved to the first rows of each of `pools` equal parts of the slots.

        Returns slots [pools, rows, width], and for each the slot within its pool that its run comes from. A run keeps
        its column, since the compiler may round differently in another column; its row does not affect rounding.
        """
        width = self._programs.layout.width
        old = self._slots.reshape(pools, -1, width)
        moved, source = np.full_like(old, -1), np.zeros_like(old)
        for pool, slots in enumerate(old):
            row, column = np.nonzero((slots >= 0) & self.status["alive"][slots])
            runs = slots[row, column]
            outer = np.unique(self._outer[runs], return_inverse=True)[1]
            cell = outer * width + column
            order = np.argsort(cell, kind="stable")
            counts = np.bincount(cell, minlength=width)
            counts = np.pad(counts, (0, -len(counts) % width))
            rank = np.empty(len(runs), int)
            rank[order] = np.arange(len(runs)) - np.repeat(np.cumsum(counts) - counts, counts)
            height = counts.reshape(-1, width).max(axis=1)
            to = (np.cumsum(height) - height)[outer] + rank
            moved[pool, to, column] = runs
            source[pool, to, column] = row * width + column
        return moved, source

    def _balanced(self) -> tuple[np.ndarray, np.ndarray]:
        """Stack the runs that are alive, with row r on device r modulo the number of devices.

        Returns the new slots, and for each of them the old slot of its run.
        """
        (slots,), (source,) = self._stacked(1)
        order = np.arange(len(slots)).reshape(-1, self._programs.mesh.size).T.reshape(-1)
        return slots[order].reshape(self._slots.shape), source[order].reshape(self._slots.shape)

    def _collect_ended(self) -> None:
        ended = self._slots.copy()
        ended[(self._slots >= 0) & self.status["alive"][self._slots]] = -1
        self._collect(ended)

    def _collect(self, slots: np.ndarray) -> None:
        """Take the final results of the runs in some slots."""
        if self._finished or not (slots >= 0).any():
            return
        for name, values in self._programs.finish(*self._arguments, self._count, self._carry).items():
            if name not in self._results:
                self._results[name] = np.zeros((self.size, *values.shape[3:]), host_dtype(values.dtype))
            self._scatter(values, slots, self._results[name])

    def _scatter(self, values: Any, slots: np.ndarray, into: np.ndarray) -> np.ndarray:
        """Write values of slots into an array of runs."""
        flat, values = slots.reshape(-1), _on_host(values)
        filled = np.flatnonzero(flat >= 0)
        into[flat[filled]] = values.reshape(flat.size, *values.shape[slots.ndim :])[filled]
        return into

    def _put_all(self, tree: Any) -> Any:
        return jax.tree.map(self._put, tree)

    def _put(self, array: Any, split: bool = True) -> Any:
        mesh = self._programs.mesh
        return jax.device_put(array, NamedSharding(mesh, PartitionSpec(*mesh.axis_names) if split else PartitionSpec()))


def _copied(named: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in named.items()}


def _on_host(values: Any) -> np.ndarray:
    """An array as a NumPy array, including the parts that other processes hold."""
    if isinstance(values, np.ndarray) or values.is_fully_addressable:
        return np.asarray(values)
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(values, tiled=True))


def _key_data(leaf: Any) -> Any:
    """Random keys as integers; any other leaf unchanged."""
    return jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def _wrapped(raw: Any, like: Any) -> Any:
    """The inverse of `_key_data`."""
    if not jax.dtypes.issubdtype(like.dtype, jax.dtypes.prng_key):
        return raw
    return jax.random.wrap_key_data(raw, impl=jax.random.key_impl(jax.numpy.empty((), like.dtype)))
