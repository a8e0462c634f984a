"""The programs of a group: its lanes started, advanced and finished, each device walking through its chunks.

Every array of lanes has the shape [devices * chunks, rows, width, ...] (see `gdlab.engine.layout`). How many of its
chunks a device walks through is an argument, so one program serves a full tile, the last one, and the lanes that are
left when others have ended.
"""

import functools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from gdlab.engine.layout import Layout
from gdlab.engine.plan import Group, lane_dtype
from gdlab.engine.program import QUICK, Program, sharded_program
from gdlab.types import Array


class Programs(NamedTuple):
    """What a group runs on. `chunks` is how many chunks a device has room for."""

    layout: Layout
    chunks: int
    mesh: Mesh
    start: Program
    advance: Program | None  # None for a plain function
    finish: Program

    @property
    def each(self) -> tuple[Program, ...]:
        return tuple(p for p in (self.start, self.advance, self.finish) if p is not None)

    def compile(self) -> list[Program]:
        """Have them all compiled, beside whatever else goes on; those that the compiler begins with now."""
        return [program for program in self.each if program.compile()]

    @property
    def memory(self) -> int:
        """Bytes that the hungriest of them needs, on all devices together."""
        return self.mesh.size * max(program.memory for program in self.each)


_KEPT = 32
_programs: OrderedDict[Any, Programs] = OrderedDict()


def programs(group: Group, layout: Layout, chunks: int, mesh: Mesh) -> Programs:
    """The programs of a group for a layout; traced, unless those of an equal group are at hand."""
    process = group.process
    columns = [(name, lane_dtype(column[:1]).dtype.str) for name, column in group.columns.items()]
    fixed = [(name, lane_dtype(np.asarray(value)).dtype.str) for name, value in process.fixed.items()]
    key = (
        *(group.cost.program, group.cost.callbacks, *columns, *fixed, group.outer),
        *(process.steps, process.every, layout, chunks, mesh),
        jax.config.values["jax_default_matmul_precision"],
    )
    if key not in _programs:
        _programs[key] = _traced(group, layout, chunks, mesh)
        while len(_programs) > _KEPT:
            _programs.popitem(last=False)
    _programs.move_to_end(key)
    return _programs[key]


def _traced(group: Group, layout: Layout, chunks: int, mesh: Mesh) -> Programs:
    process = group.process
    slots = np.zeros((mesh.size * chunks, layout.rows, layout.width), int)
    lanes = arguments(group, np.zeros(1, int), slots)
    split = (False, True, True, True)
    count = jax.ShapeDtypeStruct((mesh.size,), np.int32)
    start = sharded_program(_every_chunk(layout, process.start), mesh, lanes, split, options=QUICK)
    advance = None
    if layout.segments:

        def on(point: Mapping[str, Any], carry: Any, first: Array) -> tuple[Any, Any, Any]:
            carry, record = process.advance(point, _unfused(layout, carry), first, layout.blocks)
            carry, record = _unfused(layout, (carry, record))
            return carry, record, process.status(carry)

        # The carry is given up to the program, which writes the next one in its place.
        first = jax.ShapeDtypeStruct((), np.int32)
        args = (*lanes, count, start.result, first)
        advance = sharded_program(_advanced(layout, on), mesh, args, (*split, True, True, False), donate=5)
    finish = sharded_program(
        _finished(layout, process.finish), mesh, (*lanes, count, start.result), (*split, True, True)
    )
    return Programs(layout, chunks, mesh, start, advance, finish)


def _unfused(layout: Layout, tree: Any) -> Any:
    """The same values, which XLA must not compute in one fusion with what uses them, where a segment is one block.

    It replaces a loop of one block by the body of the loop. Fused with the operations before and after the loop, the
    body would round differently than it does in longer segments.
    """
    return jax.lax.optimization_barrier(tree) if layout.blocks == 1 else tree


@functools.lru_cache(maxsize=_KEPT)
def gather(of: Programs) -> Program:
    """The program that moves lanes to other places of their device: `(carry, source) -> carry`.

    `source[i, r, w]` is where the lane at chunk i, row r, place w of the result stands on its device, counting places.
    """
    source = jax.ShapeDtypeStruct((of.mesh.size * of.chunks, of.layout.rows, of.layout.width), np.int32)

    def moved(carry: Any, source: Array) -> Any:
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[3:])[source], carry)

    return sharded_program(moved, of.mesh, (of.start.result, source), (True, True), options=QUICK)


def arguments(group: Group, lanes: np.ndarray, slots: np.ndarray) -> tuple[Any, ...]:
    """What every program of a group takes first: fixed values; those of the rows; those of the lanes; lane numbers.

    Slot s stands for lane `lanes[s]` of the group; an empty one (-1) does what the first lane of its row does, or any
    lane where its whole row is empty.
    """
    first = np.take_along_axis(slots, (slots >= 0).argmax(axis=-1)[..., None], -1)
    filled = lanes[np.where(slots < 0, np.maximum(first, 0), slots)]
    inner = {name: column for name, column in group.columns.items() if name not in group.outer}
    return (
        {name: lane_dtype(np.asarray(value)) for name, value in group.process.fixed.items()},
        {name: lane_dtype(group.columns[name][filled[..., 0]]) for name in group.outer},
        {name: lane_dtype(column[filled]) for name, column in inner.items()},
        slots.astype(np.int32),
    )


def _on_chunk(layout: Layout, fn: Callable[..., Any], carried: int, same: int) -> Callable[..., Any]:
    """`fn(point, *carried, *same)` over a chunk: what depends on the row alone is computed once for the row."""

    def one(fixed: Any, outer: Any, inner: Any, lane: Array, *rest: Any) -> Any:
        return fn({**fixed, **outer, **inner}, *rest)

    own, common = (True,) * carried, (False,) * same
    row = _mapped(one, layout.width, (False, False, True, True, *own, *common))
    return _mapped(row, layout.rows, (False, True, True, True, *own, *common))


def _mapped(fn: Callable[..., Any], size: int, over: tuple[bool, ...]) -> Callable[..., Any]:
    """`vmap` over some of the arguments, but of a single one the function itself: batches of one are dear."""
    if size > 1:
        return jax.vmap(fn, in_axes=tuple(0 if mapped else None for mapped in over))

    def only(*args: Any) -> Any:
        firsts = (jax.tree.map(lambda leaf: leaf[0], a) if mapped else a for a, mapped in zip(args, over, strict=True))
        return jax.tree.map(lambda leaf: leaf[None], fn(*firsts))

    return only


def _every_chunk(layout: Layout, start: Callable[..., Any]) -> Callable[..., Any]:
    on_chunk = _on_chunk(layout, start, 0, 0)
    return lambda fixed, *lanes: jax.lax.map(lambda chunk: on_chunk(fixed, *chunk), lanes)


def _advanced(layout: Layout, advance: Callable[..., Any]) -> Callable[..., Any]:
    on_chunk = _on_chunk(layout, advance, 1, 1)

    def walk(fixed: Any, outer: Any, inner: Any, lane: Array, count: Array, carry: Any, first: Array) -> Any:
        lanes = (outer, inner, lane)
        _, *told = jax.eval_shape(lambda: on_chunk(fixed, *_at((*lanes, carry), 0), first))

        def step(index: Array, held: tuple[Any, Any]) -> tuple[Any, Any]:
            carry, told = held
            made, *new = on_chunk(fixed, *_at((*lanes, carry), index), first)
            return _put(carry, made, index), _put(told, new, index)

        carry, (record, status) = jax.lax.fori_loop(0, count[0], step, (carry, _room(told, lane.shape[0])))
        return carry, record, status

    return walk


def _finished(layout: Layout, finish: Callable[..., Any]) -> Callable[..., Any]:
    on_chunk = _on_chunk(layout, finish, 1, 0)

    def walk(fixed: Any, outer: Any, inner: Any, lane: Array, count: Array, carry: Any) -> Any:
        lanes = (outer, inner, lane, carry)
        results = jax.eval_shape(lambda: on_chunk(fixed, *_at(lanes, 0)))

        def step(index: Array, results: Any) -> Any:
            return _put(results, on_chunk(fixed, *_at(lanes, index)), index)

        return jax.lax.fori_loop(0, count[0], step, _room(results, lane.shape[0]))

    return walk


def _at(tree: Any, index: Any) -> Any:
    return jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, index, 0, keepdims=False), tree)


def _put(tree: Any, values: Any, index: Array) -> Any:
    return jax.tree.map(lambda leaf, value: jax.lax.dynamic_update_index_in_dim(leaf, value, index, 0), tree, values)


def _room(shapes: Any, chunks: int) -> Any:
    return jax.tree.map(lambda leaf: jnp.zeros((chunks, *leaf.shape), leaf.dtype), shapes)
