"""The identity of axis values: two values are the same if no function can distinguish them."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def identity(value: Any, containers: tuple[int, ...] = ()) -> Any:
    """A hashable key, equal for two values only if they have the same type and the same bits.

    True, 1 and 1.0 are three values, and so are 0.0 and -0.0, also inside a tuple. Sequences, mappings, sets and
    dataclasses are compared part by part, in their order of iteration; arrays by dtype, shape and bytes. Any other
    hashable value is compared with `==`; any other unhashable value equals only itself. A NumPy scalar has the key of
    the Python number that functions receive in its place. The key keeps a value alive if it compares the value by `is`.

    `containers`: the ids of the containers around the value; a container inside itself is compared by `is`.
    """
    if isinstance(value, np.generic) and value.dtype.kind in "biufcSU":
        value = value.item()
    kind = type(value)
    if isinstance(value, float | complex):
        return kind, np.complex128(value).tobytes()
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return kind, *_array(value, containers)
    if id(value) in containers:
        return kind, Itself(value)
    parts = _parts(value)
    if parts is not None:
        return kind, tuple(identity(part, (*containers, id(value))) for part in parts)
    try:
        hash(value)
    except TypeError:
        return kind, Itself(value)
    return kind, value


def bits(column: np.ndarray) -> np.ndarray:
    """The numbers of an axis as 64-bit integers, equal for equal values of the column; 0.0 differs from -0.0.

    Integers keep their values. Floats are viewed in double precision, the widest precision of a program.
    """
    if column.dtype.kind == "f":
        return np.ascontiguousarray(column, np.float64).view(np.int64)
    return column.astype(np.int64)


class Itself:
    """A key that is equal only for the same object."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Itself) and self._value is other._value

    def __hash__(self) -> int:
        return id(self._value)


def _parts(value: Any) -> Any:
    """The elements and attributes of a container; None if the value is no container."""
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


def _array(value: Any, containers: tuple[int, ...]) -> tuple[Any, ...]:
    """The dtype, shape and attributes of an array, and a digest of its bytes."""
    if jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
        return str(value.dtype), *_array(jax.random.key_data(value), containers)
    if isinstance(value, jax.Array):
        return value.weak_type, *_array(np.asarray(value), containers)
    held = value.tolist() if value.dtype.hasobject else hashlib.sha256(value.tobytes()).digest()
    # The mask of a masked array is an attribute, for example.
    return value.dtype, value.shape, identity([held, *_attributes(value).items()], containers)
