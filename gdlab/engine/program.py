"""A group as three compiled programs (start, advance, finish) over a tile of lanes.

Arrays that a user's functions close over (a data set, say) are made arguments of the programs, so that two programs
are the same exactly when their text is the same; then the second is not compiled.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from gdlab.engine.plan import Group, lane_dtype
from gdlab.types import Array

_KEPT = 128
_compiled: OrderedDict[str, Any] = OrderedDict()


class Program(NamedTuple):
    """A compiled function of pytrees."""

    call: Callable[..., Any]
    result: Any  # the shapes and dtypes it returns
    compile_seconds: float  # 0 when the same program was at hand
    memory: int  # bytes it needs while it runs: arguments, results and scratch


class Tile(NamedTuple):
    """The lanes that one call evaluates: `outer` times `inner` of them."""

    outer: int
    inner: int


class Programs(NamedTuple):
    """What a group runs on, tile by tile."""

    tile: Tile
    blocks: int  # records in one segment
    segments: int
    start: Program
    advance: Program | None  # None for a plain function
    finish: Program

    @property
    def each(self) -> tuple[Program, ...]:
        return tuple(p for p in (self.start, self.advance, self.finish) if p is not None)


def programs(group: Group, tile: Tile, blocks: int, segments: int) -> Programs:
    """Compile a group for a tile; a segment is `blocks` records long."""
    process = group.process
    lanes = arguments(group, np.zeros(tile.outer, int), np.zeros(tile.inner, int))
    start = _program(_lanes(group, process.start, 0), lanes)
    if not segments:
        return Programs(
            tile, blocks, 0, start, None, _program(_lanes(group, process.finish, 1), (*lanes, start.result))
        )

    def advance(point: Mapping[str, Any], carry: Any, first: Array) -> tuple[Any, Any, Any]:
        carry, record = process.advance(point, carry, first, blocks)
        return carry, record, process.status(carry)

    # The carry is given up to the program, which writes the next one in its place.
    first = jax.ShapeDtypeStruct((), np.int32)
    advanced = _program(_lanes(group, advance, 1), (*lanes, start.result, first), donate=len(lanes))
    return Programs(
        tile,
        blocks,
        segments,
        start,
        advanced,
        _program(_lanes(group, process.finish, 1), (*lanes, start.result)),
    )


def arguments(group: Group, outer: np.ndarray, inner: np.ndarray) -> tuple[Any, ...]:
    """What every program of a group takes first: fixed values, those of outer and inner lanes, lane numbers."""
    return (
        {name: lane_dtype(np.asarray(value)) for name, value in group.process.fixed.items()},
        {name: lane_dtype(column) for name, column in group.values(group.outer, outer).items()},
        {name: lane_dtype(column) for name, column in group.values(group.inner, inner).items()},
        inner.astype(np.int32),
    )


def _lanes(group: Group, fn: Callable[..., Any], carried: int) -> Callable[..., Any]:
    """`fn(point, *carry, *same)` over a tile: the outer axes outside, so that what depends on them alone is computed
    once."""

    def one(fixed: Any, outer: Any, inner: Any, lane: Array, *rest: Any) -> Any:
        return fn({**fixed, **outer, **inner}, *rest)

    def over(*args: Any) -> Any:
        rest = len(args) - 4
        carry, same = (0,) * carried, (None,) * (rest - carried)
        mapped = jax.vmap(one, in_axes=(None, None, 0, 0, *carry, *same))
        if group.outer:
            mapped = jax.vmap(mapped, in_axes=(None, 0, None, None, *carry, *same))
        return mapped(*args)

    return over


def _program(fn: Callable[..., Any], args: tuple[Any, ...], donate: int | None = None) -> Program:
    began = time.perf_counter()
    jaxpr, result = jax.make_jaxpr(fn, return_shape=True)(*args)
    held: list[Any] = []
    given: list[Any] = []
    for position, arg in enumerate(args):
        (given if position == donate else held).append(jax.tree.map(_shape, arg))
    flat_given = jax.tree.leaves(given)

    def flat(consts: list[Any], held_leaves: list[Any], given_leaves: list[Any]) -> list[Any]:
        leaves, kept, lent = [], iter(held_leaves), iter(given_leaves)
        for position, arg in enumerate(args):
            leaves += [next(lent if position == donate else kept) for _ in jax.tree.leaves(arg)]
        return jax.core.eval_jaxpr(jaxpr.jaxpr, consts, *leaves)

    consts = [jax.device_put(const) for const in jaxpr.consts]
    lowered = jax.jit(flat, donate_argnums=2).lower([_shape(c) for c in consts], jax.tree.leaves(held), flat_given)
    compiled, seconds = _compile(lowered, began)
    treedef = jax.tree.structure(result)

    def call(*args: Any) -> Any:
        kept = [leaf for position, arg in enumerate(args) if position != donate for leaf in jax.tree.leaves(arg)]
        lent = [] if donate is None else jax.tree.leaves(args[donate])
        return jax.tree.unflatten(treedef, compiled(consts, kept, lent))

    return Program(call, result, seconds, _memory(compiled))


def _shape(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(np.shape(leaf), leaf.dtype)


def _compile(lowered: Any, began: float) -> tuple[Any, float]:
    text = lowered.as_text() + jax.default_backend()
    key = hashlib.sha256(text.encode()).hexdigest()
    if key in _compiled:
        _compiled.move_to_end(key)
        return _compiled[key], 0.0
    compiled = lowered.compile()
    _compiled[key] = compiled
    while len(_compiled) > _KEPT:
        _compiled.popitem(last=False)
    return compiled, time.perf_counter() - began


def _memory(compiled: Any) -> int:
    analysis = compiled.memory_analysis()
    if analysis is None:  # a backend that does not say
        return 0
    own = analysis.argument_size_in_bytes + analysis.output_size_in_bytes - analysis.alias_size_in_bytes
    return int(own + analysis.temp_size_in_bytes)
