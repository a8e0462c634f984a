"""The scalars of YAML 1.2."""

import re
from typing import Any

from gdlab.config.errors import is_printable


def value(tag: str, text: str) -> Any:
    """The value of a scalar in the core schema of YAML 1.2. A date is text, since no field is a date."""
    bare = text.lower().lstrip("+-").replace("_", "")
    sign = -1 if text.startswith("-") else 1
    if tag == "null":
        return None
    if tag == "bool":
        return text.lower() == "true"
    if tag == "int":
        base = {"0x": 16, "0o": 8, "0b": 2}.get(bare[:2], 10)
        return sign * int(bare[2:] if base != 10 else bare, base)
    if tag == "float":
        if bare in (".inf", ".nan"):
            return sign * float(bare[1:])
        number = float(bare)
        if number == float("inf"):
            raise OverflowError(text)
        return sign * number
    return text


def is_sound(text: str) -> bool:
    """Whether the text is printable; tabs and line breaks are allowed."""
    return is_printable(re.sub("[\t\n\r\u2028\u2029]", "", text))
