"""The compiled programs of a group: they start, advance and finish its runs, chunk by chunk on each device.

Every array of runs has the shape [devices * chunks, rows, width, ...] (see `gdlab.engine.layout`). The number of chunks
that a device evaluates is an argument, so one program serves a full tile, the last tile, and the runs that remain after
others have ended.
"""

import functools
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from gdlab.engine.cpu_forms import on_platform
from gdlab.engine.layout import Layout
from gdlab.engine.loop import segment
from gdlab.engine.over_runs import Constants, OverRuns
from gdlab.engine.plan import Group, traced_dtype
from gdlab.engine.program import Program, sharded_program
from gdlab.types import Array, Process


class ChunkPrograms(NamedTuple):
    """The programs of a group for one layout. `chunks`: chunks per device."""

    layout: Layout
    chunks: int
    mesh: Mesh
    start: Program
    advance: Program | None  # None for a plain function
    finish: Program

    @property
    def programs(self) -> tuple[Program, ...]:
        return tuple(p for p in (self.start, self.advance, self.finish) if p is not None)

    def compile(self) -> list[Program]:
        """Start to compile all of them in the background; returns those that were not compiled before."""
        return [program for program in self.programs if program.compile()]

    @property
    def memory(self) -> int:
        """The memory of the program that needs the most, in bytes over all devices."""
        return self.mesh.size * max(program.memory for program in self.programs)


_KEPT = 32
_cache: OrderedDict[Any, ChunkPrograms] = OrderedDict()


def chunk_programs(group: Group, layout: Layout, chunks: int, mesh: Mesh) -> ChunkPrograms:
    """The programs of a group for a layout, traced unless the programs of an equal group are cached."""
    process = group.process
    columns = tuple((name, traced_dtype(column[:1]).dtype.str) for name, column in group.columns.items())
    fixed = tuple((name, traced_dtype(np.asarray(value)).dtype.str) for name, value in process.fixed.items())
    key = (
        *(group.cost.program, group.cost.callbacks, columns, fixed, group.outer),
        *(process.steps, process.every, layout, chunks, mesh),
        jax.config.values["jax_default_matmul_precision"],
    )
    if key not in _cache:
        _cache[key] = _traced(group, layout, chunks, mesh)
        while len(_cache) > _KEPT:
            _cache.popitem(last=False)
    _cache.move_to_end(key)
    return _cache[key]


def _traced(group: Group, layout: Layout, chunks: int, mesh: Mesh) -> ChunkPrograms:
    process = group.process
    slots = np.zeros((mesh.size * chunks, layout.rows, layout.width), int)
    runs = arguments(group, np.zeros(1, int), slots)
    split = (False, True, True, True)
    count = jax.ShapeDtypeStruct((mesh.size,), np.int32)
    platform = mesh.devices.flat[0].platform
    if group.cost.faster:
        process = process._replace(
            start=on_platform(platform, process.start),
            step=on_platform(platform, process.step),
            finish=on_platform(platform, process.finish),
        )
    start = sharded_program(_start(layout, process.start), mesh, runs, split)
    advance = None
    if layout.segments:
        # The carry is donated: the program writes the next one in its place.
        first = jax.ShapeDtypeStruct((), np.int32)
        args = (*runs, count, start.result, first)
        advance = sharded_program(_advance(process, layout), mesh, args, (*split, True, True, False), donate=5)
    finish = sharded_program(_finish(layout, process.finish), mesh, (*runs, count, start.result), (*split, True, True))
    return ChunkPrograms(layout, chunks, mesh, start, advance, finish)


@functools.lru_cache(maxsize=_KEPT)
def gather(programs: ChunkPrograms) -> Program:
    """The program that moves runs to other slots of their device: `(carry, source) -> carry`.

    `source[i, r, w]` is the slot on the device, counted through its chunks, of the run that moves to chunk i, row r,
    column w.
    """
    layout = programs.layout
    source = jax.ShapeDtypeStruct((programs.mesh.size * programs.chunks, layout.rows, layout.width), np.int32)

    def moved(carry: Any, source: Array) -> Any:
        return jax.tree.map(lambda leaf: by_slot(leaf)[source], carry)

    return sharded_program(moved, programs.mesh, (programs.start.result, source), (True, True))


def by_slot(array: Any) -> Any:
    """An array [chunks, rows, width, ...] as [slots, ...]; any axis but the first three may have size 0."""
    return array.reshape(math.prod(array.shape[:3]), *array.shape[3:])


def arguments(group: Group, runs: np.ndarray, slots: np.ndarray) -> tuple[Any, ...]:
    """The first arguments of every program: fixed values, values of the rows, values of the runs, slots.

    Slot s holds run `runs[s]` of the group. An empty slot (-1) repeats the first run of its row; an empty row repeats
    an arbitrary run.
    """
    first = np.take_along_axis(slots, (slots >= 0).argmax(axis=-1)[..., None], -1)
    filled = runs[np.where(slots < 0, np.maximum(first, 0), slots)]
    inner = {name: column for name, column in group.columns.items() if name not in group.outer}
    return (
        {name: traced_dtype(np.asarray(value)) for name, value in group.process.fixed.items()},
        {name: traced_dtype(group.columns[name][filled[..., 0]]) for name in group.outer},
        {name: traced_dtype(column[filled]) for name, column in inner.items()},
        slots.astype(np.int32),
    )


def _start(layout: Layout, start: Callable[..., Any]) -> Callable[..., Any]:
    def on_chunk(fixed: Any, outer: Any, inner: Any, slots: Array) -> Any:
        runs = OverRuns(layout, Constants(fixed, outer, inner))
        return runs.restored(runs.each(start, ())())

    return lambda fixed, *runs: jax.lax.map(lambda chunk: on_chunk(fixed, *chunk), runs)


def _advance(process: Process, layout: Layout) -> Callable[..., Any]:
    def over_chunks(fixed: Any, outer: Any, inner: Any, slots: Array, count: Array, carry: Any, first: Array) -> Any:
        def on_chunk(index: Any, carry: Any) -> tuple[Any, Any, Any]:
            return segment(process, layout, Constants(fixed, *_at((outer, inner), index)), _at(carry, index), first)

        _, *shapes = jax.eval_shape(on_chunk, 0, carry)

        def step(index: Array, state: tuple[Any, Any]) -> tuple[Any, Any]:
            carry, outputs = state
            advanced, *new = on_chunk(index, carry)
            return _put(carry, advanced, index), _put(outputs, new, index)

        outputs = _zeros(shapes, slots.shape[0])
        carry, (record, status) = jax.lax.fori_loop(0, count[0], step, (carry, outputs))
        return carry, record, status

    return over_chunks


def _finish(layout: Layout, finish: Callable[..., Any]) -> Callable[..., Any]:
    def over_chunks(fixed: Any, outer: Any, inner: Any, slots: Array, count: Array, carry: Any) -> Any:
        def on_chunk(index: Any) -> Any:
            runs = OverRuns(layout, Constants(fixed, *_at((outer, inner), index)))
            held = runs.arranged(_at(carry, index))
            return runs.restored(runs.each(finish, (held,))(held))

        shapes = jax.eval_shape(on_chunk, 0)

        def step(index: Array, results: Any) -> Any:
            return _put(results, on_chunk(index), index)

        return jax.lax.fori_loop(0, count[0], step, _zeros(shapes, slots.shape[0]))

    return over_chunks


def _at(tree: Any, index: Any) -> Any:
    return jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, index, 0, keepdims=False), tree)


def _put(tree: Any, values: Any, index: Array) -> Any:
    return jax.tree.map(lambda leaf, value: jax.lax.dynamic_update_index_in_dim(leaf, value, index, 0), tree, values)


def _zeros(shapes: Any, chunks: int) -> Any:
    return jax.tree.map(lambda leaf: jnp.zeros((chunks, *leaf.shape), leaf.dtype), shapes)
