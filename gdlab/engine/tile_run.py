"""The lanes of a tile under way: advanced segment by segment; those that have ended leave, the others close up."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from gdlab.engine.chunk_programs import Programs, arguments, gather, programs
from gdlab.engine.fill_values import blank_array, on_host
from gdlab.engine.layout import Layout, arrange
from gdlab.engine.plan import Group, outer_index

# Chunks that must fall away before the others are moved: moving costs about as much as a few steps.
LESS = 0.8


class Snapshot(NamedTuple):
    """All that is needed to go on with a tile after so many segments, as plain arrays."""

    segment: int  # the next one
    layout: Layout
    chunks: int
    slots: np.ndarray
    carry: list[np.ndarray]
    status: dict[str, np.ndarray]
    results: dict[str, np.ndarray]

    def on(self, devices: int) -> "Snapshot":
        """The same for so many devices: rows stay as they are, and are dealt out anew."""
        if len(self.slots) == devices * self.chunks:
            return self
        rows, width = self.layout.rows, self.layout.width
        filled = np.flatnonzero((self.slots >= 0).any(axis=2))
        chunks = max(1, -(-len(filled) // (devices * rows)))
        number = np.arange(devices * chunks * rows).reshape(devices, -1).T.reshape(-1)  # the places, dealt by turns
        source = np.full(len(number), -1)
        source[number[: len(filled)]] = filled

        def dealt(array: np.ndarray) -> np.ndarray:
            taken = array.reshape(-1, width, *array.shape[3:])[np.maximum(source, 0)]
            return taken.reshape(-1, rows, width, *array.shape[3:])

        slots = np.where((source < 0).reshape(-1, rows, 1), -1, dealt(self.slots))
        return self._replace(chunks=chunks, slots=slots, carry=[dealt(leaf) for leaf in self.carry])


class Sent(NamedTuple):
    """The records of a segment, while the device may still be at work on them."""

    record: Mapping[str, Any]
    slots: np.ndarray


class Flight:
    """Some lanes of a group on their way. `lanes` are their numbers in the group, those that share work together."""

    _slots: np.ndarray
    _at: tuple[Any, ...]
    _count: Any

    def __init__(self, group: Group, of: Programs, lanes: np.ndarray, snapshot: Snapshot | None = None) -> None:
        self._group, self._of, self._lanes = group, of, lanes
        taken = {name: column[lanes] for name, column in group.columns.items()}
        self._outer = outer_index(taken, group.outer, len(lanes))
        self._results: dict[str, np.ndarray] = {}
        self._landed = False  # whether the results are those of the carry as it is
        self.status: dict[str, np.ndarray] = {}  # of each lane, when it was last seen
        if snapshot is not None:
            self._restore(snapshot)
            return
        self._place(arrange(self._outer, of.layout, of.mesh.size, of.chunks))
        self._carry = of.start(*self._at)

    @property
    def size(self) -> int:
        """How many lanes there are, those that have left included."""
        return len(self._lanes)

    @property
    def alive(self) -> int:
        """How many lanes were alive when last seen."""
        return int(self.status["alive"].sum())

    @property
    def counts(self) -> dict[str, int]:
        """How many lanes had each status when last seen."""
        return {name: int(values.sum()) for name, values in self.status.items()}

    def advance(self, segment: int) -> Sent:
        """Set the devices to work on a segment; this does not wait for them."""
        assert self._of.advance is not None
        first = np.int32(segment * self._of.layout.blocks * self._group.process.every)
        sent = self._put(first, split=False)
        self._carry, record, self._standing = self._of.advance(*self._at, self._count, self._carry, sent)
        self._landed = False
        return Sent(record, self._slots)

    def fly(
        self,
        segments: range,
        deliver: Callable[[int, Sent], None],
        between: Callable[[int, Callable[[], None]], None],
        compact: bool = True,
    ) -> None:
        """Advance through some segments, or until no lane is alive; `deliver` takes the records of each.

        The host's work on one segment goes on beside the devices' work on the next. Once a segment is settled,
        `between(segment, delivered)` is called; calling `delivered` has its records delivered at once.
        """
        waiting: list[tuple[int, Sent]] = []

        def delivered() -> None:
            while waiting:
                deliver(*waiting.pop())

        for segment in segments:
            if self.status and not self.alive:
                break
            sent = self.advance(segment)
            delivered()
            waiting.append((segment, sent))
            self.settle()
            if compact and self.alive and segment + 1 < segments.stop:
                self.pack()
            between(segment, delivered)
        delivered()

    def settle(self) -> None:
        """Wait for the segment, and see who is still alive."""
        for name, values in self._standing.items():
            known = self.status.setdefault(name, np.zeros(self.size, bool))
            self._scatter(values, self._slots, known)

    def received(self, sent: Sent) -> dict[str, np.ndarray]:
        """The records of a segment, [lanes, records, ...]; blank (NaN or -1) for lanes that had left before it."""
        return {name: self._scatter(values, sent.slots) for name, values in sent.record.items()}

    def pack(self) -> None:
        """Let lanes that have ended go, if the others then fit into fewer chunks."""
        of = self._of
        if -(-self.alive // (of.mesh.size * of.layout.chunk)) > LESS * int(self._used(self._slots).max()):
            return  # however they stood: too many are alive
        slots, source = (array.reshape(self._slots.shape) for array in self._stacked(of.mesh.size))
        now, then = int(self._used(self._slots).max()), int(self._used(slots).max())
        if then == now or then > LESS * now:
            return
        self._land_ended()
        self._carry = gather(of)(self._carry, self._put(source.astype(np.int32)))
        self._place(slots)

    def release(self, lanes: np.ndarray) -> None:
        """Let some lanes go for good, whatever their carry says: they end with what they have now."""
        gone = np.isin(self._slots, lanes)
        self._collect(np.where(gone, self._slots, -1))
        self.status["alive"][lanes] = False
        self._slots = np.where(gone, -1, self._slots)
        self._count = self._put(self._used(self._slots))

    def spread(self) -> None:
        """Deal the lanes that are alive out to the devices anew, evenly; through the host, for devices never talk."""
        if not self.alive:
            return
        self._land_ended()
        slots, source = self._dealt()
        here = self.snapshot(0)
        carry = [leaf.reshape(-1, *leaf.shape[3:])[source] for leaf in here.carry]
        self._restore(here._replace(slots=slots, carry=carry))

    def land(self) -> dict[str, np.ndarray]:
        """What each lane ends with, [lanes, ...], if it goes no further."""
        self._collect(self._slots)
        self._landed = True
        return self._results

    def snapshot(self, segment: int) -> Snapshot:
        """Everything, as copies on the host."""
        leaves = [np.array(_pulled(_raw(leaf))) for leaf in jax.tree.leaves(self._carry)]
        of = self._of
        status, results = _copied(self.status), _copied(self._results)
        return Snapshot(segment, of.layout, of.chunks, self._slots, leaves, status, results)

    def _restore(self, snapshot: Snapshot) -> None:
        snapshot = snapshot.on(self._of.mesh.size)
        if (snapshot.layout, snapshot.chunks) != (self._of.layout, self._of.chunks):
            self._of = programs(self._group, snapshot.layout, snapshot.chunks, self._of.mesh)
        shapes, structure = jax.tree.flatten(self._of.start.result)
        leaves = [_cooked(self._put(raw), like) for raw, like in zip(snapshot.carry, shapes, strict=True)]
        self._carry = jax.tree.unflatten(structure, leaves)
        self.status, self._results = _copied(snapshot.status), _copied(snapshot.results)
        self._place(snapshot.slots)

    def _place(self, slots: np.ndarray) -> None:
        self._slots = slots
        fixed, *others = arguments(self._group, self._lanes, slots)
        self._at = (jax.tree.map(lambda leaf: self._put(leaf, split=False), fixed), *map(self._put_all, others))
        self._count = self._put(self._used(slots))

    def _used(self, slots: np.ndarray) -> np.ndarray:
        """For each device, how many of its chunks hold a lane."""
        filled = (slots >= 0).any(axis=(1, 2)).reshape(self._of.mesh.size, -1)
        return np.where(filled, np.arange(1, filled.shape[1] + 1), 0).max(axis=1).astype(np.int32)

    def _stacked(self, pools: int) -> tuple[np.ndarray, np.ndarray]:
        """The lanes that are alive, moved up to the first rows of as many parts of the slots as there are `pools`.

        Slots [pools, rows, width], and the place in its pool that each lane comes from. A lane keeps its place in the
        row: the compiler may round differently at another. Which row it is makes no difference.
        """
        width = self._of.layout.width
        old = self._slots.reshape(pools, -1, width)
        moved, source = np.full_like(old, -1), np.zeros_like(old)
        for pool, slots in enumerate(old):
            row, place = np.nonzero((slots >= 0) & self.status["alive"][slots])
            lanes = slots[row, place]
            outer = np.unique(self._outer[lanes], return_inverse=True)[1]
            column = outer * width + place
            order = np.argsort(column, kind="stable")
            counts = np.bincount(column, minlength=width)
            counts = np.pad(counts, (0, -len(counts) % width))
            rank = np.empty(len(lanes), int)
            rank[order] = np.arange(len(lanes)) - np.repeat(np.cumsum(counts) - counts, counts)
            height = counts.reshape(-1, width).max(axis=1)
            to = (np.cumsum(height) - height)[outer] + rank
            moved[pool, to, place] = lanes
            source[pool, to, place] = row * width + place
        return moved, source

    def _dealt(self) -> tuple[np.ndarray, np.ndarray]:
        """The lanes that are alive, stacked, and row r of all dealt to device r modulo their number: slots, and the
        place among all that each comes from."""
        (slots,), (source,) = self._stacked(1)
        number = np.arange(len(slots)).reshape(-1, self._of.mesh.size).T.reshape(-1)
        return slots[number].reshape(self._slots.shape), source[number].reshape(self._slots.shape)

    def _land_ended(self) -> None:
        gone = self._slots.copy()
        gone[(self._slots >= 0) & self.status["alive"][self._slots]] = -1
        self._collect(gone)

    def _collect(self, slots: np.ndarray) -> None:
        """Take what the lanes in some of the slots end with."""
        if self._landed or not (slots >= 0).any():
            return
        for name, values in self._of.finish(*self._at, self._count, self._carry).items():
            self._results[name] = self._scatter(values, slots, self._results.get(name))

    def _scatter(self, values: Any, slots: np.ndarray, into: np.ndarray | None = None) -> np.ndarray:
        """Values of slots as values of lanes, into an array that may hold those of others."""
        found = _pulled(values)
        if into is None:
            into = blank_array((self.size, *found.shape[3:]), on_host(found.dtype))
        filled = slots >= 0
        into[slots[filled]] = found[filled]
        return into

    def _put_all(self, tree: Any) -> Any:
        return jax.tree.map(self._put, tree)

    def _put(self, array: Any, split: bool = True) -> Any:
        mesh = self._of.mesh
        return jax.device_put(array, NamedSharding(mesh, PartitionSpec(*mesh.axis_names) if split else PartitionSpec()))


def _copied(named: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in named.items()}


def _pulled(values: Any) -> np.ndarray:
    """An array of all devices, those of other processes included, on the host."""
    if isinstance(values, np.ndarray) or values.is_fully_addressable:
        return np.asarray(values)
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(values, tiled=True))


def _raw(leaf: Any) -> Any:
    """Keys as the numbers that they are made of."""
    return jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def _cooked(raw: Any, like: Any) -> Any:
    if not jax.dtypes.issubdtype(like.dtype, jax.dtypes.prng_key):
        return raw
    return jax.random.wrap_key_data(raw, impl=jax.random.key_impl(jax.numpy.empty((), like.dtype)))
