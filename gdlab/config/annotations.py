"""The forms that a parameter takes, read off its annotation."""

import inspect
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import jax
import numpy as np

from gdlab.config.errors import shown
from gdlab.config.value_types import (
    ANY,
    EITHER,
    NULL,
    NUMBER,
    SCHEDULE,
    TEXT,
    TRUTH,
    WHOLE,
    Form,
    Forms,
    made,
    misfits,
    schema,
    words,
)

_PLAIN: dict[Any, Form] = {
    float: NUMBER,
    int: WHOLE,
    bool: TRUTH,
    str: TEXT,
    None: NULL,
    type(None): NULL,
    jax.Array: NUMBER,
    np.ndarray: NUMBER,
}


def forms_of(parameter: inspect.Parameter) -> Forms:
    """The forms that a parameter takes; where it has no annotation its default tells."""
    if parameter.annotation is not parameter.empty:
        return _distinct(_read(parameter.annotation))
    default = parameter.default
    if isinstance(default, int) and not isinstance(default, bool):
        return (EITHER,)
    return (_PLAIN.get(type(default), ANY),) if isinstance(default, bool | float | str) else (ANY,)


def _read(annotation: Any) -> Iterator[Form]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if hasattr(annotation, "__value__"):  # a `type X = ...` statement
        yield from _read(annotation.__value__)
    elif annotation == jax.typing.ArrayLike:
        yield NUMBER
    elif origin is Annotated:
        yield from _read(arguments[0])
    elif origin in (Union, types.UnionType):
        for argument in arguments:
            yield from _read(argument)
    elif origin is Literal:
        yield _choice(arguments)
    elif origin is Callable or annotation in (Callable, typing.Callable):
        yield SCHEDULE
    elif origin is tuple and (len(arguments) != 2 or arguments[1] is not Ellipsis):
        yield _row([_distinct(_read(argument)) for argument in arguments])
    elif origin in (tuple, list, Sequence):
        yield _list(_distinct(_read(arguments[0])))
    else:
        yield _PLAIN.get(annotation, ANY) if isinstance(annotation, type | None) else ANY


def _distinct(found: Iterator[Form]) -> Forms:
    unique = tuple(dict.fromkeys(found))
    return (ANY,) if ANY in unique else unique


def _choice(values: tuple[Any, ...]) -> Form:
    named = [shown(value) if not isinstance(value, str) else value for value in values]
    listed = ", ".join(named[:-1]) + (" or " if named[:-1] else "") + named[-1]
    return Form(
        listed,
        lambda value: any(type(value) is type(known) and value == known for known in values),
        {"enum": list(values)},
    )


def _list(each: Forms) -> Form:
    return Form(
        f"a list of {_plural(words(each))}",
        lambda value: isinstance(value, list) and not any(misfits(element, each) for element in value),
        {"type": "array", "items": schema(each)},
        lambda value: tuple(made(element, each) for element in value),
        lambda index: each,
    )


def _row(each: Sequence[Forms]) -> Form:
    called = {words(allowed) for allowed in each}
    each_word = _plural(called.pop()) if called in ({"a number"}, {"a whole number"}) else "values"
    return Form(
        f"a list of {len(each)} {each_word}" if len(each) != 1 else "a list of one value",
        lambda value: (
            isinstance(value, list)
            and len(value) == len(each)
            and not any(misfits(element, allowed) for element, allowed in zip(value, each, strict=True))
        ),
        {"type": "array", "prefixItems": [schema(a) for a in each], "minItems": len(each), "maxItems": len(each)},
        lambda value: tuple(made(element, allowed) for element, allowed in zip(value, each, strict=True)),
        lambda index: each[index] if index < len(each) else None,
    )


def _plural(name: str) -> str:
    return name.replace("a whole number", "whole numbers").replace("a number", "numbers")
