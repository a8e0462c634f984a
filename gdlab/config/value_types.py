"""The types of value that a parameter accepts, read from its annotation; pydantic checks and converts the values."""

import inspect
import math
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from os import PathLike
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import jax
import numpy as np
from pydantic import AfterValidator, Strict, TypeAdapter, ValidationError, WithJsonSchema

from gdlab.config.errors import shown
from gdlab.errors import did_you_mean
from gdlab.problems.data import NpzPath
from gdlab.rules.scheduled import is_schedule_type

TypeErrorAt = tuple[tuple[int, ...], str]  # the indices inside the value, and what is wrong there


@dataclass(frozen=True, eq=False)
class ValueType:
    """One type of value.

    Attributes:
        words: its name in messages, after "must be".
        annotation: the type for pydantic, which also converts: a whole number to a float, a list to a tuple.
        names: the strings that it accepts, if it accepts only some strings.
        inside: for a list, the types of the element at an index; None where there is no such element.
    """

    words: str
    annotation: Any
    names: tuple[str, ...] = ()
    inside: Callable[[int], "ValueTypes | None"] | None = None


ValueTypes = tuple[ValueType, ...]
SCHEDULE_SCHEMA = {"$ref": "#/$defs/schedule"}


def _refusing(refuses: Callable[[Any], bool]) -> AfterValidator:
    def check(value: Any) -> Any:
        if refuses(value):
            raise ValueError
        return value

    return AfterValidator(check)


_Whole = Annotated[int, Strict(), _refusing(lambda value: abs(value) >= 2**63)]
_Float = Annotated[float, Strict(), _refusing(math.isnan)]

ANY = ValueType("a value", Any)
NULL = ValueType("null", None)
BOOLEAN = ValueType("true or false", Annotated[bool, Strict()])
INTEGER = ValueType("a whole number", _Whole)
FLOAT = ValueType("a number", _Float)
REAL = ValueType("a number", Annotated[_Whole | _Float, WithJsonSchema({"type": "number"})])  # integers stay integers
TEXT = ValueType("text", Annotated[str, Strict()])
# A schedule is a mapping and is read as a kind, so no plain value is a schedule.
SCHEDULE = ValueType("a schedule", Annotated[Any, _refusing(lambda value: True), WithJsonSchema({"type": "object"})])
NPZ = ValueType(
    f"a path that ends in {NpzPath.suffix}",
    Annotated[str, Strict(), _refusing(lambda path: not path.endswith(NpzPath.suffix))],
)
_PLAIN: dict[Any, ValueType] = {
    NpzPath: NPZ,
    float: FLOAT,
    int: INTEGER,
    bool: BOOLEAN,
    str: TEXT,
    None: NULL,
    type(None): NULL,
    jax.Array: FLOAT,
    np.ndarray: FLOAT,
}


def types_of(parameter: inspect.Parameter) -> ValueTypes:
    """The types that a parameter accepts, by its annotation; without one, by its default."""
    if parameter.annotation is not parameter.empty:
        return _distinct(_read(parameter.annotation))
    default = parameter.default
    if isinstance(default, int) and not isinstance(default, bool):
        return (REAL,)
    return (_PLAIN.get(type(default), ANY),) if isinstance(default, bool | float | str) else (ANY,)


def validate(value: Any, allowed: ValueTypes) -> tuple[Any, list[TypeErrorAt]]:
    """Convert a plain value to the value that the factory takes.

    Returns:
        The converted value and no errors; or None and the errors, if the value has none of the types.
    """
    try:
        return convert(value, allowed), []
    except ValidationError:
        rows = [row.inside for row in allowed if row.inside is not None]
        whole: list[TypeErrorAt] = [((), f"must be {words(allowed)}, not {shown(value)}")]
        if not isinstance(value, list) or len(rows) != 1:
            return None, whole
        within = [rows[0](index) for index in range(len(value))]
        if None in within:
            return None, whole
        found = [validate(element, each)[1] for element, each in zip(value, within, strict=True) if each is not None]
        return None, [((i, *at), message) for i, errors in enumerate(found) for at, message in errors] or whole


def is_valid(value: Any, allowed: ValueTypes) -> bool:
    """Whether a plain value is of one of the types."""
    return not validate(value, allowed)[1]


def convert(value: Any, allowed: ValueTypes) -> Any:
    """A plain value as the factory takes it: numbers as floats where it takes floats, lists as tuples.

    Raises:
        pydantic.ValidationError: the value has none of the types.
    """
    return _adapter(allowed).validate_python(value)


def schema(allowed: ValueTypes) -> dict[str, Any]:
    """The types as one JSON schema."""
    parts = [SCHEDULE_SCHEMA if one is SCHEDULE else _adapter((one,)).json_schema() for one in allowed]
    return parts[0] if len(parts) == 1 else {"anyOf": parts}


def words(allowed: ValueTypes) -> str:
    """The types in words: "a number or null"."""
    names = list(dict.fromkeys(one.words for one in allowed if one is not SCHEDULE))
    return " or ".join(names) or SCHEDULE.words


def suggestion(value: Any, allowed: ValueTypes) -> str:
    """A hint with the nearest of the names that a parameter accepts; empty if it accepts no names."""
    names = [name for one in allowed for name in one.names]
    return did_you_mean(value, names) if isinstance(value, str) else ""


def takes_schedule(allowed: ValueTypes) -> bool:
    """Whether a schedule, a function of the step, is accepted."""
    return SCHEDULE in allowed


def is_numeric(allowed: ValueTypes) -> bool:
    """Whether a single number is accepted."""
    return any(one in allowed for one in (FLOAT, INTEGER, REAL))


def is_whole(allowed: ValueTypes) -> bool:
    """Whether the only numbers accepted are whole."""
    return INTEGER in allowed and FLOAT not in allowed


@cache
def _adapter(allowed: ValueTypes) -> TypeAdapter[Any]:
    return TypeAdapter(_union(allowed))


def _union(allowed: ValueTypes) -> Any:
    return Union[tuple(one.annotation for one in allowed)]  # noqa: UP007


def _read(annotation: Any) -> Iterator[ValueType]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if hasattr(annotation, "__value__"):  # a `type X = ...` statement
        yield from _read(annotation.__value__)
    elif annotation == jax.typing.ArrayLike:
        yield FLOAT
    elif origin is Annotated:
        yield from _read(arguments[0])
    elif origin in (Union, types.UnionType):
        for argument in arguments:
            yield from _read(argument)
    elif origin is Literal:
        yield _choice(arguments)
    elif is_schedule_type(annotation):
        yield SCHEDULE
    elif origin is tuple and (len(arguments) != 2 or arguments[1] is not Ellipsis):
        yield _row([_distinct(_read(argument)) for argument in arguments])
    elif origin in (tuple, list, Sequence):
        yield _list(_distinct(_read(arguments[0])))
    elif isinstance(annotation, type) and issubclass(annotation, PathLike):
        yield TEXT
    else:
        yield _PLAIN.get(annotation, ANY) if isinstance(annotation, type | None) else ANY


def _distinct(found: Iterator[ValueType]) -> ValueTypes:
    unique = tuple(dict.fromkeys(found))
    return (ANY,) if ANY in unique else unique


def _choice(values: tuple[Any, ...]) -> ValueType:
    listed = [value if isinstance(value, str) else shown(value) for value in values]
    exact = [(type(value), value) for value in values]  # 1 is not True
    return ValueType(
        ", ".join(listed[:-1]) + (" or " if listed[:-1] else "") + listed[-1],
        Annotated[Any, _refusing(lambda value: (type(value), value) not in exact), WithJsonSchema({"enum": [*values]})],
        names=tuple(value for value in values if isinstance(value, str)),
    )


def _list(each: ValueTypes) -> ValueType:
    annotation = types.GenericAlias(tuple, (_union(each), ...))
    return ValueType(f"a list of {_plural(words(each))}", annotation, inside=lambda index: each)


def _row(each: Sequence[ValueTypes]) -> ValueType:
    called = {words(allowed) for allowed in each}
    plural = _plural(called.pop()) if called in ({FLOAT.words}, {INTEGER.words}) else "values"
    return ValueType(
        f"a list of {len(each)} {plural}" if len(each) != 1 else "a list of one value",
        types.GenericAlias(tuple, tuple(_union(allowed) for allowed in each)),
        inside=lambda index: each[index] if index < len(each) else None,
    )


def _plural(name: str) -> str:
    return name.replace("a whole number", "whole numbers").replace("a number", "numbers")
