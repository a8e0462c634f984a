"""The check of a rule's options: arguments that are one of a few strings."""

from collections.abc import Sequence
from typing import Any


def check_option(name: str, value: Any, choices: Sequence[str]) -> None:
    """Refuse a value that is not one of the choices; `typing.get_args` gives those of a Literal.

    Raises:
        ValueError: the message names the argument, the choices and the value.
    """
    if value not in choices:
        raise ValueError(f"{name} must be {' or '.join(map(repr, choices))}, not {value!r}")
