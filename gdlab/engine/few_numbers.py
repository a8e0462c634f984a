"""Small arrays of runs as one array per number, for `gdlab.engine.runs_last`.

XLA writes each array by a kernel of its own. If the parameters x = (x0, x1) of a run are two arrays [runs], all
operations on x0 and x1 become part of the kernels that write them, without padding, slicing or stacking in between.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

# Arrays of at most this many numbers per run are kept as one array per number.
FEW = 8

# The same operation on each element; operands have the shape of the result or are scalars.
ELEMENTWISE = frozenset(
    """
    abs acos acosh add add_any and asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt ceil clamp conj
    convert_element_type copy cos cosh digamma div eq erf erf_inv erfc exp exp2 expm1 floor ge gt igamma igammac imag
    integer_pow is_finite le lgamma log log1p logistic lt max min mul ne neg nextafter not or pow real reduce_precision
    rem round rsqrt select_n shift_left shift_right_arithmetic shift_right_logical sign sin sinh sqrt square
    stop_gradient sub tan tanh xor
    """.split()  # noqa: SIM905
)


class Value(NamedTuple):
    """An array in the evaluation. With `runs` it differs between runs: `array` has the runs as its last axis, or is a
    NumPy array of objects, one array [runs] for each number of a run."""

    array: Any
    runs: bool

    @property
    def in_numbers(self) -> bool:
        """Whether it is held as one array per number."""
        return self.runs and isinstance(self.array, np.ndarray)

    @property
    def size(self) -> int:
        """The numbers of one run."""
        return self.array.size if self.in_numbers else math.prod(jnp.shape(self.array)[: -1 if self.runs else None])


@jax.tree_util.register_pytree_node_class
class Numbers:
    """An array of at most `FEW` numbers per run: an array [..., runs] for each number, and the shape of one run."""

    def __init__(self, arrays: Sequence[Any], shape: tuple[int, ...]) -> None:
        self.arrays, self.shape = tuple(arrays), shape

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[int, ...]]:
        """See `jax.tree_util.register_pytree_node_class`."""
        return self.arrays, self.shape

    @classmethod
    def tree_unflatten(cls, shape: tuple[int, ...], arrays: Sequence[Any]) -> "Numbers":
        """See `jax.tree_util.register_pytree_node_class`."""
        return cls(arrays, shape)


def is_numbers(tree: Any) -> bool:
    """Whether a tree is one `Numbers`."""
    return isinstance(tree, Numbers)


def split(array: Any, rows: int = 0) -> Any:
    """An array [rows..., *shape, runs] as `Numbers`, if a run has few; otherwise as it is."""
    shape = array.shape[rows:-1]
    if not 0 < math.prod(shape) <= FEW or shape == ():
        return array
    return Numbers([array[(slice(None),) * rows + place] for place in np.ndindex(*shape)], shape)


def join(value: Any, rows: int = 0) -> Any:
    """The inverse of `split`."""
    if not is_numbers(value):
        return value
    stacked = jnp.stack(value.arrays, axis=rows)
    return stacked.reshape(*stacked.shape[:rows], *value.shape, stacked.shape[-1])


def value_of(array: Any, runs: bool) -> Value:
    if not is_numbers(array):
        return Value(array, runs)
    return Value(_objects(array.arrays, array.shape), runs=True)


def _objects(arrays: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray:
    """A NumPy array of objects."""
    held = np.empty(len(arrays), object)
    for place, array in enumerate(arrays):
        held[place] = array
    return held.reshape(shape)


def as_array(value: Value, size: int) -> Any:
    """The value as an array with the axis of runs."""
    if value.in_numbers:
        return join(Numbers(list(value.array.flat), value.array.shape))
    return value.array if value.runs else full(value, (*jnp.shape(value.array), size))


def as_numbers(value: Value, size: int) -> np.ndarray:
    """The value as a NumPy array of arrays [runs]."""
    if value.in_numbers:
        return value.array
    array = as_array(value, size)
    return _objects([array[place] for place in np.ndindex(*array.shape[:-1])], array.shape[:-1])


def full(value: Value, shape: tuple[int, ...]) -> Any:
    """The value broadcast to a shape that ends with the axis of runs. The value is scalar, or has the same axes."""
    array = jnp.asarray(value.array)
    if array.shape == shape:
        return array
    own = range(array.ndim - value.runs) if array.ndim > value.runs else ()
    return lax.broadcast_in_dim(array, shape, (*own, *((len(shape) - 1,) if value.runs else ())))


def _elementwise(size: int, eqn: Any, args: list[Value]) -> np.ndarray:
    shape = eqn.outvars[0].aval.shape
    held = [np.broadcast_to(as_numbers(value, size), shape) for value in args]
    return _objects(
        [eqn.primitive.bind(*(one[place] for one in held), **eqn.params) for place in np.ndindex(*shape)], shape
    )


def _rearranged(change: Callable[[np.ndarray, dict[str, Any]], np.ndarray]) -> Callable[..., np.ndarray]:
    """The rule of an operation that only moves or repeats numbers of its operand."""
    return lambda size, eqn, args: change(as_numbers(args[0], size), eqn.params)


def _strided(held: np.ndarray, params: dict[str, Any]) -> np.ndarray:
    strides = params["strides"] or (1,) * held.ndim
    return held[tuple(map(slice, params["start_indices"], params["limit_indices"], strides))]


def _repeated(held: np.ndarray, params: dict[str, Any]) -> np.ndarray:
    shape = params["shape"]
    own = [1] * len(shape)
    for axis, n in zip(params["broadcast_dimensions"], held.shape, strict=True):
        own[axis] = n
    return np.broadcast_to(held.reshape(own), shape)


def _padded(size: int, eqn: Any, args: list[Value]) -> np.ndarray:
    held, (filling,) = as_numbers(args[0], size), as_numbers(args[1], size).reshape(1)
    shape = eqn.outvars[0].aval.shape
    padded = _objects([filling] * math.prod(shape), shape)
    for place in np.ndindex(*held.shape):
        at = [low + (inner + 1) * i for i, (low, _, inner) in zip(place, eqn.params["padding_config"], strict=True)]
        if all(0 <= i < n for i, n in zip(at, shape, strict=True)):
            padded[tuple(at)] = held[place]
    return padded


def _joined(size: int, eqn: Any, args: list[Value]) -> np.ndarray:
    return np.concatenate([as_numbers(value, size) for value in args], eqn.params["dimension"])


def _reduced(combine: Callable[[Any, Any], Any]) -> Callable[..., np.ndarray]:
    """The rule of a reduction."""

    def rule(size: int, eqn: Any, args: list[Value]) -> np.ndarray:
        held, axes = as_numbers(args[0], size), tuple(eqn.params["axes"])
        kept = [axis for axis in range(held.ndim) if axis not in axes]
        rows = held.transpose(*kept, *axes).reshape(*eqn.outvars[0].aval.shape, -1)
        shape = rows.shape[:-1]
        return _objects([functools.reduce(combine, rows[place]) for place in np.ndindex(*shape)], shape)

    return rule


OF_NUMBERS: dict[str, Callable[..., np.ndarray]] = {
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    "slice": _rearranged(_strided),
    "broadcast_in_dim": _rearranged(_repeated),
    "squeeze": _rearranged(lambda held, params: held.squeeze(tuple(params["dimensions"]))),
    "reshape": _rearranged(lambda held, params: held.reshape(params["new_sizes"])),
    "transpose": _rearranged(lambda held, params: held.transpose(params["permutation"])),
    "rev": _rearranged(lambda held, params: np.flip(held, tuple(params["dimensions"]))),
    "pad": _padded,
    "concatenate": _joined,
    "reduce_sum": _reduced(lax.add),
    "reduce_max": _reduced(lax.max),
    "reduce_min": _reduced(lax.min),
    "reduce_and": _reduced(lax.bitwise_and),
    "reduce_or": _reduced(lax.bitwise_or),
}
