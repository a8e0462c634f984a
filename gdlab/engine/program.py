"""A group as three compiled programs (start, advance, finish) over a tile of lanes.

Arrays that a user's functions close over (a data set, say) are made arguments of the programs, so that two programs
are the same exactly when their text is the same; then the second is not compiled.
"""

import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np

from gdlab.engine.plan import Group, lane_dtype
from gdlab.types import Array

_KEPT = 128
_compiled: OrderedDict[str, "Future[_Executable]"] = OrderedDict()
# The compiler lets go of the interpreter, so programs are compiled beside each other and beside the runs.
_compilers = ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="gdlab-compile")
# A program that runs once per tile is not worth the compiler's full effort: this takes a third of the time.
_QUICK = {"xla_backend_optimization_level": 1}


class _Executable(NamedTuple):
    call: Any
    seconds: float


class Program:
    """A function of pytrees that is being compiled; calling it waits until it is."""

    def __init__(
        self, executable: "Future[_Executable]", fresh: bool, consts: list[Any], result: Any, donate: int | None
    ):
        self.result = result  # the shapes and dtypes it returns
        self._executable, self._fresh = executable, fresh
        self._consts, self._donate = consts, donate
        self._structure = jax.tree.structure(result)

    def __call__(self, *args: Any) -> Any:
        held, lent = _apart(args, self._donate)
        return jax.tree.unflatten(self._structure, self._executable.result().call(self._consts, held, lent))

    @property
    def compile_seconds(self) -> float:
        """How long it was compiled for; 0 when the same program was at hand."""
        return self._executable.result().seconds if self._fresh else 0.0

    @property
    def memory(self) -> int:
        """Bytes it needs while it runs: arguments, results and scratch; 0 where the backend does not say."""
        analysis = self._executable.result().call.memory_analysis()
        if analysis is None:
            return 0
        own = analysis.argument_size_in_bytes + analysis.output_size_in_bytes - analysis.alias_size_in_bytes
        return int(own + analysis.temp_size_in_bytes)


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

    @property
    def memory(self) -> int:
        """Bytes that the hungriest of them needs."""
        return max(program.memory for program in self.each)

    @property
    def compile_seconds(self) -> float:
        """What they were compiled for, in all."""
        return sum(program.compile_seconds for program in self.each)


def programs(group: Group, tile: Tile, blocks: int, segments: int) -> Programs:
    """Trace a group for a tile and have it compiled; a segment is `blocks` records long."""
    process = group.process
    lanes = arguments(group, np.zeros(tile.outer, int), np.zeros(tile.inner, int))
    start = _program(_lanes(group, process.start, 0), lanes, options=_QUICK)
    advance = None
    if segments:

        def on(point: Mapping[str, Any], carry: Any, first: Array) -> tuple[Any, Any, Any]:
            carry, record = process.advance(point, carry, first, blocks)
            return carry, record, process.status(carry)

        # The carry is given up to the program, which writes the next one in its place.
        first = jax.ShapeDtypeStruct((), np.int32)
        advance = _program(_lanes(group, on, 1), (*lanes, start.result, first), donate=len(lanes))
    finish = _program(_lanes(group, process.finish, 1), (*lanes, start.result))
    return Programs(tile, blocks, segments, start, advance, finish)


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


def _program(
    fn: Callable[..., Any], args: tuple[Any, ...], donate: int | None = None, options: Mapping[str, Any] | None = None
) -> Program:
    jaxpr, result = jax.make_jaxpr(fn, return_shape=True)(*args)
    held, lent = _apart([jax.tree.map(_shape, arg) for arg in args], donate)

    def flat(consts: list[Any], held: list[Any], lent: list[Any]) -> list[Any]:
        kept, given = iter(held), iter(lent)
        sources = [
            given if position == donate else kept for position, arg in enumerate(args) for _ in jax.tree.leaves(arg)
        ]
        return jax.core.eval_jaxpr(jaxpr.jaxpr, consts, *(next(source) for source in sources))

    consts = [jax.device_put(const) for const in jaxpr.consts]
    lowered = jax.jit(flat, donate_argnums=2, keep_unused=True).lower([_shape(const) for const in consts], held, lent)
    executable, fresh = _compile(lowered, dict(options or {}))
    return Program(executable, fresh, consts, result, donate)


def _apart(args: Any, donate: int | None) -> tuple[list[Any], list[Any]]:
    """The leaves of the arguments that are kept, and of the one that is given up."""
    held = [leaf for position, arg in enumerate(args) if position != donate for leaf in jax.tree.leaves(arg)]
    return held, [] if donate is None else jax.tree.leaves(args[donate])


def _shape(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(np.shape(leaf), leaf.dtype)


def _compile(lowered: Any, options: dict[str, Any]) -> "tuple[Future[_Executable], bool]":
    # The text must tell all arguments apart, those that are not used too: two programs that read different leaves of
    # carries of one shape would else have one text. Hence `keep_unused`.
    text = f"{lowered.as_text()} {lowered.in_avals} {jax.default_backend()} {options}"
    key = hashlib.sha256(text.encode()).hexdigest()
    if key in _compiled:
        _compiled.move_to_end(key)
        return _compiled[key], False

    def work() -> _Executable:
        began = time.perf_counter()
        return _Executable(lowered.compile(compiler_options=options), time.perf_counter() - began)

    _compiled[key] = _compilers.submit(work)
    while len(_compiled) > _KEPT:
        _compiled.popitem(last=False)
    return _compiled[key], True
