"""The scalars of YAML 1.2."""

from typing import Any


def value(tag: str, text: str) -> Any:
    """A scalar of the core schema; a date is text, for no field holds one."""
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
    """Whether the text can be printed and can name a file."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
