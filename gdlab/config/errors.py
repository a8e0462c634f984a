"""Errors in a config, with their positions."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gdlab.errors import UserError

COMMAND_LINE = "command line"
# The greatest number of characters of a message, of a value in it and of a source line; and of errors in one message.
_MOST_MESSAGE, _MOST_VALUE, _MOST_LINE, _MOST_SHOWN = 1000, 60, 160, 50
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")


@dataclass(frozen=True)
class Mark:
    """A position in a source.

    Attributes:
        file: the path of the file as given, or "command line".
        line: from 1; None for the whole file and for the command line.
        column: from 1; None for the whole file.
        text: the line itself.
        width: the number of characters from `column` on.
    """

    file: str
    line: int | None = None
    column: int | None = None
    text: str = ""
    width: int = 1

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Mistake:
    """One error: its `message`, the field's `path` ("train.steps"), its position, and a `hint` if there is one."""

    message: str
    mark: Mark
    path: str = ""
    hint: str = ""

    @property
    def file(self) -> str:
        return self.mark.file

    @property
    def line(self) -> int | None:
        return self.mark.line

    @property
    def column(self) -> int | None:
        return self.mark.column

    def __str__(self) -> str:
        mark = self.mark
        lines = [": ".join(part for part in (str(mark), _cut(self.path), _cut(self.message)) if part)]
        if mark.column is not None and mark.text:
            number = "  " if mark.line is None else f"{mark.line:>5} | "
            lines += _excerpt(mark.text, mark.column - 1, mark.width, number)
        if self.hint:
            lines.append(f"  {_cut(self.hint)}")
        return "\n".join(map(printable, lines))


class ConfigError(UserError):
    """A config that can't be run. `str()` of it lists its errors in the order of the sources, the first 50 of them.

    Attributes:
        mistakes: a `Mistake` for each; those of the command line come last.
    """

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = sorted(mistakes, key=_position)
        super().__init__(self.mistakes)

    def __str__(self) -> str:
        more = len(self.mistakes) - _MOST_SHOWN
        return "\n".join([*map(str, self.mistakes[:_MOST_SHOWN]), *([f"and {more:,} more errors"] if more > 0 else [])])


def message_of(error: BaseException) -> str:
    """The type and message of an exception, even if its `__str__` raises."""
    try:
        text = str(error)
    except Exception as broken:
        text = f"its message can't be shown: {type(broken).__name__} in its __str__"
    return f"{type(error).__name__}: {text}".removesuffix(": ")


def is_printable(text: str) -> bool:
    """Whether the text has no control character (a terminal may execute it), line break or lone surrogate."""
    return not any(unicodedata.category(character) in _UNPRINTABLE for character in text)


def printable(text: str) -> str:
    """The text with each character that is not printable replaced by U+FFFD."""
    return "".join(character if is_printable(character) else "\ufffd" for character in text)


def dotted(path: Iterable[str | int]) -> str:
    """A field's path as text: ("figures", 0, "kind") is "figures[0].kind"."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def shown(value: Any) -> str:
    """A value as YAML, cut to a readable length."""
    match value:
        case None | True | False:
            return {None: "null", True: "true", False: "false"}[value]
        case dict():
            return "a mapping"
        case list() | tuple():
            text = "[" + ", ".join(map(shown, value[:9])) + (", ...]" if len(value) > 9 else "]")
        case str():
            text = repr(value[:_MOST_VALUE])
        case _:
            text = repr(value)
    return _cut(text, _MOST_VALUE)


def _cut(text: str, most: int = _MOST_MESSAGE) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def _excerpt(text: str, column: int, width: int, number: str) -> list[str]:
    """The line, or the part of a long line around a column (from 0); and carets below the error."""
    start = 0 if len(text) <= _MOST_LINE or column < _MOST_LINE // 2 else column - _MOST_LINE // 4
    line = ("..." if start else "") + text[start : start + _MOST_LINE]
    at = column - start + (3 if start else 0)
    carets = max(1, min(width, len(line) - at))
    rest = "..." if len(text) > start + _MOST_LINE else ""
    margin = "  " if number.isspace() else "      | "
    return [number + line.expandtabs(1) + rest, margin + " " * at + "^" * carets]


def _position(mistake: Mistake) -> tuple[bool, str, int, int]:
    return (mistake.file == COMMAND_LINE, mistake.file, mistake.line or 0, mistake.column or 0)
