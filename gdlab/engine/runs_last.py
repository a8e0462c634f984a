"""`vmap` with the runs on the last axis: the innermost loops are over runs, so the processor's vectors hold runs.

`jax.vmap` puts the runs first. Its innermost loops are over the axes of one run, which are short for a small model, and
its matrix products are many small ones. With the runs last, an operation of a small model becomes a few long loops, and
a small matrix product a sum of products of vectors of runs.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import ClosedJaxpr

from gdlab.engine.few_numbers import ELEMENTWISE, FEW, OF_NUMBERS, Value, as_array, full, is_numbers, split, value_of

# Sums over at most this many values are written out, since XLA's loops for reductions are not over the runs.
WRITTEN_OUT = 64

# Operations along some axes of the operand. Their parameters do not change if an axis follows.
_SAME_AXES = frozenset(
    """
    argmax argmin cumlogsumexp cummax cummin cumprod cumsum reduce_and reduce_max reduce_min reduce_or reduce_prod
    reduce_xor rev squeeze
    """.split()  # noqa: SIM905
)
# Calls of a function, with the name of the parameter that holds its jaxpr.
_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "remat": "jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
}


def vmap_last(fn: Callable[..., list[Any]], args: Sequence[bool], results: Sequence[bool]) -> Callable[..., list[Any]]:
    """A function of arrays over the runs: `args` and `results` say which have the axis of runs, as their last.

    An argument may be `Numbers`; each result with the axis of runs is passed through `split`. A result without the axis
    must be the same for all runs.
    """

    def call(*arrays: Any) -> list[Any]:
        given = [value_of(array, runs) for array, runs in zip(arrays, args, strict=True)]
        size = next(_first(array).shape[-1] for array, runs in zip(arrays, args, strict=True) if runs)
        closed = jax.make_jaxpr(fn)(*map(_shape_of_one, given))
        found = _evaluate(size, closed, given)
        for value, runs in zip(found, results, strict=True):
            assert runs or not value.runs, "a result that differs between runs must have the axis of runs"
        return [
            split(as_array(value, size)) if runs else value.array for value, runs in zip(found, results, strict=True)
        ]

    return call


def _first(array: Any) -> Any:
    return array.arrays[0] if is_numbers(array) else array


def _shape_of_one(value: Value) -> jax.ShapeDtypeStruct:
    if value.in_numbers:
        return jax.ShapeDtypeStruct(value.array.shape, value.array.flat[0].dtype)
    return jax.ShapeDtypeStruct(jnp.shape(value.array)[: -1 if value.runs else None], value.array.dtype)


def _evaluate(size: int, closed: Any, args: Sequence[Value]) -> list[Value]:
    jaxpr = closed.jaxpr
    values = {var: Value(const, runs=False) for var, const in zip(jaxpr.constvars, closed.consts, strict=True)}
    values |= dict(zip(jaxpr.invars, args, strict=True))

    def read(var: Any) -> Value:
        return Value(var.val, runs=False) if hasattr(var, "val") else values[var]

    for eqn in jaxpr.eqns:
        with eqn.ctx.manager:
            found = _equation(size, eqn, [read(var) for var in eqn.invars])
        values |= dict(zip(eqn.outvars, found, strict=True))
    return [read(var) for var in jaxpr.outvars]


def _equation(size: int, eqn: Any, args: list[Value]) -> list[Value]:
    name = eqn.primitive.name
    if not any(value.runs for value in args):
        found = eqn.primitive.bind(*(value.array for value in args), **eqn.primitive.get_bind_params(eqn.params))
        return [Value(one, runs=False) for one in (found if eqn.primitive.multiple_results else [found])]
    if name in _CALLS:
        closed = eqn.params[_CALLS[name]]
        closed = closed if hasattr(closed, "consts") else ClosedJaxpr(closed, ())
        return _evaluate(size, closed, args)
    if name in OF_NUMBERS and all(0 < n <= FEW for n in (eqn.outvars[0].aval.size, *(v.size for v in args))):
        return [Value(OF_NUMBERS[name](size, eqn, args), runs=True)]
    args = [Value(as_array(value, size), runs=True) if value.in_numbers else value for value in args]
    if name in ELEMENTWISE:
        shape = (*eqn.outvars[0].aval.shape, size)
        return [Value(eqn.primitive.bind(*(full(value, shape) for value in args), **eqn.params), runs=True)]
    if name in _RULES:
        found = _RULES[name](size, eqn, args)
        if found is not None:
            return [Value(one, runs=True) for one in found]
    return _by_vmap(eqn, args)


def _by_vmap(eqn: Any, args: list[Value]) -> list[Value]:
    """Any other operation: by `jax.vmap`, with the runs first."""
    moved = [jnp.moveaxis(value.array, -1, 0) if value.runs else value.array for value in args]
    axes = [0 if value.runs else None for value in args]

    def bind(*arrays: Any) -> Any:
        return eqn.primitive.bind(*arrays, **eqn.primitive.get_bind_params(eqn.params))

    found = jax.vmap(bind, in_axes=axes)(*moved)
    return [
        Value(jnp.moveaxis(one, 0, -1), runs=True) for one in (found if eqn.primitive.multiple_results else [found])
    ]


def _same_axes(size: int, eqn: Any, args: list[Value]) -> list[Any]:
    found = eqn.primitive.bind(args[0].array, **eqn.params)
    return list(found) if eqn.primitive.multiple_results else [found]


def _reduce_sum(size: int, eqn: Any, args: list[Value]) -> list[Any]:
    array, axes = args[0].array, eqn.params["axes"]
    if math.prod(array.shape[axis] for axis in axes) > WRITTEN_OUT:
        return [eqn.primitive.bind(array, **eqn.params)]
    places = itertools.product(*(range(array.shape[axis]) for axis in axes))
    return [_total([_at(array, axes, place) for place in places], eqn.outvars[0].aval, size)]


def _at(array: Any, axes: Sequence[int], place: Sequence[int]) -> Any:
    """The elements at some indices of some axes; these axes are removed."""
    starts, stops = [0] * array.ndim, list(array.shape)
    for axis, index in zip(axes, place, strict=True):
        starts[axis], stops[axis] = index, index + 1
    return lax.squeeze(lax.slice(array, starts, stops), tuple(axes))


def _total(terms: list[Any], like: Any, size: int) -> Any:
    """The sum of terms, in pairs, and pairs of pairs."""
    if not terms:
        return jnp.zeros((*like.shape, size), like.dtype)
    while len(terms) > 1:
        pairs = [first + second for first, second in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + terms[2 * len(pairs) :]
    return terms[0]


def _dot_general(size: int, eqn: Any, args: list[Value]) -> list[Any] | None:
    ((left_axes, right_axes), (left_batch, right_batch)) = eqn.params["dimension_numbers"]
    left, right = args
    out = eqn.outvars[0].aval
    shapes = [var.aval.shape for var in eqn.invars]
    depth = [shapes[0][axis] for axis in left_axes]
    if math.prod(depth) > WRITTEN_OUT or (not (left.runs and right.runs) and not _is_small(shapes, left.runs)):
        return _as_product(size, eqn, left, right)
    left_free = [axis for axis in range(len(shapes[0])) if axis not in (*left_axes, *left_batch)]
    right_free = [axis for axis in range(len(shapes[1])) if axis not in (*right_axes, *right_batch)]
    batch, rank = len(left_batch), out.ndim

    def placed(value: Value, axes: Sequence[int], kept: Sequence[int], place: Sequence[int], to: Sequence[int]) -> Any:
        """A factor of one term: [the axes of the result..., runs]."""
        array = _at(jnp.asarray(value.array).astype(out.dtype), axes, place)
        remaining = sorted(kept)
        order = [remaining.index(axis) for axis in kept]
        runs = (len(kept),) if value.runs else ()
        array = lax.transpose(array, (*order, *runs)) if order != sorted(order) else array
        return lax.broadcast_in_dim(array, (*out.shape, size), (*to, *((rank,) if value.runs else ())))

    to_left = [*range(batch), *range(batch, batch + len(left_free))]
    to_right = [*range(batch), *range(batch + len(left_free), rank)]
    terms = [
        placed(left, left_axes, [*left_batch, *left_free], place, to_left)
        * placed(right, right_axes, [*right_batch, *right_free], place, to_right)
        for place in itertools.product(*map(range, depth))
    ]
    # Without the barrier XLA computes the product again for each of its uses.
    return [lax.optimization_barrier(_total(terms, out, size))]


def _is_small(shapes: Sequence[Sequence[int]], left_has_runs: bool) -> bool:
    """Whether the factor without runs is so small that a sum of products is faster than one matrix product."""
    return math.prod(shapes[1 if left_has_runs else 0]) <= WRITTEN_OUT


def _as_product(size: int, eqn: Any, left: Value, right: Value) -> list[Any] | None:
    """One matrix product, if only one factor differs between runs; its axis of runs is one more free axis."""
    if left.runs and right.runs:
        return None
    params = dict(eqn.params)
    if right.runs:
        return [eqn.primitive.bind(left.array, right.array, **params)]
    found = eqn.primitive.bind(left.array, right.array, **params)  # [batch, left free, runs, right free]
    ((left_axes, _), _) = params["dimension_numbers"]
    runs_at = left.array.ndim - 1 - len(left_axes)
    return [jnp.moveaxis(found, runs_at, -1)]


def _broadcast_in_dim(size: int, eqn: Any, args: list[Value]) -> list[Any] | None:
    if len(args) > 1:
        return None  # a shape that is known only when the program runs
    shape, own = eqn.params["shape"], eqn.params["broadcast_dimensions"]
    return [lax.broadcast_in_dim(args[0].array, (*shape, size), (*own, len(shape)))]


def _reshape(size: int, eqn: Any, args: list[Value]) -> list[Any] | None:
    if len(args) > 1 or eqn.params.get("dimensions") is not None:
        return None
    return [lax.reshape(args[0].array, (*eqn.params["new_sizes"], size))]


def _transpose(size: int, eqn: Any, args: list[Value]) -> list[Any]:
    permutation = eqn.params["permutation"]
    return [lax.transpose(args[0].array, (*permutation, len(permutation)))]


def _slice(size: int, eqn: Any, args: list[Value]) -> list[Any]:
    starts, stops, strides = (eqn.params[name] for name in ("start_indices", "limit_indices", "strides"))
    strides = None if strides is None else (*strides, 1)
    return [lax.slice(args[0].array, (*starts, 0), (*stops, size), strides)]


def _concatenate(size: int, eqn: Any, args: list[Value]) -> list[Any]:
    return [lax.concatenate([as_array(value, size) for value in args], eqn.params["dimension"])]


def _pad(size: int, eqn: Any, args: list[Value]) -> list[Any] | None:
    operand, filling = args
    if filling.runs:
        return None
    return [lax.pad(operand.array, filling.array, (*eqn.params["padding_config"], (0, 0, 0)))]


def _dynamic_slice(size: int, eqn: Any, args: list[Value]) -> list[Any] | None:
    operand, *starts = args
    if any(start.runs for start in starts):
        return None
    places = [start.array for start in starts]
    return [lax.dynamic_slice(operand.array, [*places, _zero(places)], (*eqn.params["slice_sizes"], size))]


def _dynamic_update_slice(size: int, eqn: Any, args: list[Value]) -> list[Any] | None:
    operand, update, *starts = args
    if any(start.runs for start in starts):
        return None
    places = [start.array for start in starts]
    return [lax.dynamic_update_slice(as_array(operand, size), as_array(update, size), [*places, _zero(places)])]


def _zero(places: Sequence[Any]) -> Any:
    return jnp.zeros((), jnp.asarray(places[0]).dtype if places else jnp.int32)


def _cond(size: int, eqn: Any, args: list[Value]) -> list[Any] | None:
    index, *operands = args
    if index.runs:
        return None

    def branch(closed: Any) -> Callable[..., list[Any]]:
        def call(*arrays: Any) -> list[Any]:
            given = [Value(array, value.runs) for array, value in zip(arrays, operands, strict=True)]
            return [as_array(value, size) for value in _evaluate(size, closed, given)]

        return call

    return list(lax.switch(index.array, [branch(one) for one in eqn.params["branches"]],
                           *(value.array for value in operands)))  # fmt: skip


def _scan(size: int, eqn: Any, args: list[Value]) -> list[Any]:
    closed, length = eqn.params["jaxpr"], eqn.params["length"]
    # The names of the parameters with these numbers differ between versions of JAX. What is stacked over the steps has
    # one axis more in the equation than in the body.
    body_in, body_out = closed.jaxpr.invars, closed.jaxpr.outvars
    stacked = sum(outer.aval.ndim > var.aval.ndim for outer, var in zip(eqn.invars, body_in, strict=True))
    carried = sum(outer.aval.ndim == var.aval.ndim for outer, var in zip(eqn.outvars, body_out, strict=True))
    consts = len(args) - carried - stacked
    fixed, carry, inputs = args[:consts], args[consts : consts + carried], args[consts + carried :]

    def body(carry: list[Any], slices: list[Any]) -> tuple[list[Any], list[Any]]:
        given = [Value(array, value.runs) for array, value in zip(slices, inputs, strict=True)]
        found = _evaluate(size, closed, [*fixed, *(Value(array, runs=True) for array in carry), *given])
        spread = [as_array(value, size) for value in found]
        return spread[:carried], spread[carried:]

    after, outputs = lax.scan(
        body,
        [as_array(value, size) for value in carry],
        [value.array for value in inputs],
        length=length,
        reverse=eqn.params["reverse"],
        unroll=eqn.params["unroll"],
    )
    return [*after, *outputs]


_RULES: dict[str, Callable[[int, Any, list[Value]], list[Any] | None]] = {
    **dict.fromkeys(_SAME_AXES, _same_axes),
    "reduce_sum": _reduce_sum,
    "dot_general": _dot_general,
    "broadcast_in_dim": _broadcast_in_dim,
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "concatenate": _concatenate,
    "pad": _pad,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "cond": _cond,
    "scan": _scan,
}
