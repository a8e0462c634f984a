"""The shapes that a value in a config may have."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gdlab.config.errors import shown
from gdlab.errors import did_you_mean

Misfit = tuple[tuple[int, ...], str]  # where inside the value, and what is wrong there


@dataclass(frozen=True, eq=False)
class Form:
    """One shape that a value may have.

    Attributes:
        words: what it is called, after "must be".
        fits: whether a plain value has it.
        schema: it as a JSON schema.
        make: from the plain value to what the factory is given.
        inside: for a list, the forms of the element at an index; None: no such element.
    """

    words: str
    fits: Callable[[Any], bool]
    schema: dict[str, Any]
    make: Callable[[Any], Any] = lambda value: value
    inside: Callable[[int], "Forms | None"] | None = None


Forms = tuple[Form, ...]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and not math.isnan(value))


ANY = Form("a value", lambda value: True, {})
NULL = Form("null", lambda value: value is None, {"type": "null"})
TRUTH = Form("true or false", lambda value: isinstance(value, bool), {"type": "boolean"})
WHOLE = Form("a whole number", _is_whole, {"type": "integer"})
NUMBER = Form("a number", _is_number, {"type": "number"}, make=float)
EITHER = Form("a number", _is_number, {"type": "number"})  # a whole one stays whole
TEXT = Form("text", lambda value: isinstance(value, str), {"type": "string"})
SCHEDULE = Form("a schedule", lambda value: False, {"$ref": "#/$defs/schedule"})  # its mapping is checked as a kind


def misfits(value: Any, allowed: Forms) -> list[Misfit]:
    """Where and why a plain value has none of the forms allowed; nothing if it has one."""
    if any(form.fits(value) for form in allowed):
        return []
    rows = [form.inside for form in allowed if form.inside is not None]
    if isinstance(value, list) and len(rows) == 1:
        found = []
        for index, element in enumerate(value):
            within = rows[0](index)
            if within is None:
                return [((), f"must be {words(allowed)}, not {shown(value)}")]
            found += [((index, *place), message) for place, message in misfits(element, within)]
        if found:
            return found
    return [((), f"must be {words(allowed)}, not {shown(value)}")]


def made(value: Any, allowed: Forms) -> Any:
    """A plain value that fits, as the factory is given it: numbers as floats, rows as tuples."""
    exact = sorted((form for form in allowed if form.fits(value)), key=lambda form: form is NUMBER)
    return exact[0].make(value)


def words(allowed: Forms) -> str:
    """The forms in words: "a number or null"."""
    names = list(dict.fromkeys(form.words for form in allowed if form is not SCHEDULE))
    return " or ".join(names) or "a schedule"


def schema(allowed: Forms) -> dict[str, Any]:
    """The forms as one JSON schema."""
    parts = [form.schema for form in allowed]
    return parts[0] if len(parts) == 1 else {"anyOf": parts}


def suggestion(value: Any, allowed: Forms) -> str:
    """A hint at the nearest of the names that a parameter takes, if it takes names."""
    names = [name for form in allowed for name in form.schema.get("enum", ()) if isinstance(name, str)]
    return did_you_mean(value, names) if isinstance(value, str) else ""


def takes_schedule(allowed: Forms) -> bool:
    """Whether a function of the step is taken."""
    return SCHEDULE in allowed


def is_numeric(allowed: Forms) -> bool:
    """Whether a single number is taken."""
    return any(form in allowed for form in (NUMBER, WHOLE, EITHER))
