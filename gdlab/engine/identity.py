"""When two values of an axis are the same: when no function can tell them apart."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def identity(value: Any, inside: tuple[int, ...] = ()) -> Any:
    """A hashable key, equal for two values only if they are of one type and hold the same bits.

    So True, 1 and 1.0 are three values, and so are 0.0 and -0.0, within a tuple too. Sequences, mappings, sets and
    dataclasses are compared part by part, in the order in which they are iterated over; arrays by dtype, shape and
    bytes. Anything else is compared by its own `==` if it is hashable, and is the same as itself alone if it is not. A
    NumPy scalar counts as the Python number that a function gets in its place. The key keeps its value alive wherever
    it compares by `is`.

    `inside`: the ids of the containers that the value is in; one that holds itself is compared by `is` there.
    """
    if isinstance(value, np.generic) and value.dtype.kind in "biufcSU":
        value = value.item()
    kind = type(value)
    if isinstance(value, float | complex):
        return kind, np.complex128(value).tobytes()
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return kind, *_array(value, inside)
    if id(value) in inside:
        return kind, Itself(value)
    parts = _parts(value)
    if parts is not None:
        within = (*inside, id(value))
        return kind, tuple(identity(part, within) for part in parts)
    try:
        hash(value)
    except TypeError:
        return kind, Itself(value)
    return kind, value


def bits(column: np.ndarray) -> np.ndarray:
    """The numbers of an axis as whole numbers of 64 bits, equal for equal values of the column; 0.0 is not -0.0.

    Whole numbers stay as they are. Other numbers are those of double precision, the widest that a program computes in.
    """
    if column.dtype.kind == "f":
        return np.ascontiguousarray(column, np.float64).view(np.int64)
    return column.astype(np.int64)


class Itself:
    """A value that is equal to itself alone."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Itself) and self._value is other._value

    def __hash__(self) -> int:
        return id(self._value)


def _parts(value: Any) -> Any:
    """What a container holds: its parts and its attributes; None of what is no container."""
    if getattr(type(value), "__dataclass_params__", None) is not None and type(value).__dataclass_params__.eq:
        names = [field.name for field in dataclasses.fields(value)]
        fields = {name: getattr(value, name) for name in names if hasattr(value, name)}
        return [*(fields | _attributes(value)).items()]
    if isinstance(value, Mapping):
        return [[*value.items()], [*_attributes(value).items()]]
    if isinstance(value, tuple | list | set | frozenset):
        return [[*value], [*_attributes(value).items()]] if _attributes(value) else [*value]
    return None


def _attributes(value: Any) -> dict[str, Any]:
    return getattr(value, "__dict__", {})


def _array(value: Any, inside: tuple[int, ...]) -> tuple[Any, ...]:
    """What an array is, a digest in place of its bytes."""
    if jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
        return str(value.dtype), *_array(jax.random.key_data(value), inside)
    if isinstance(value, jax.Array):
        return value.weak_type, *_array(np.asarray(value), inside)
    held = value.tolist() if value.dtype.hasobject else hashlib.sha256(value.tobytes()).digest()
    # The attributes of a masked array are its mask, for instance.
    return value.dtype, value.shape, identity([held, *_attributes(value).items()], inside)
