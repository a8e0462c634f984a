"""What is wrong with a config, where, and how that is said."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gdlab.errors import UserError

COMMAND_LINE = "command line"


@dataclass(frozen=True)
class Mark:
    """A place in a source.

    Attributes:
        file: the file as its reader named it, or "command line".
        line: from 1; None for the whole file and for the command line.
        column: from 1; None for the whole file.
        text: the line itself.
        width: how many characters of it are meant.
    """

    file: str
    line: int | None = None
    column: int | None = None
    text: str = ""
    width: int = 1


@dataclass(frozen=True)
class Mistake:
    """One thing wrong: `message`, of the field `path` ("train.steps"), at `mark`, with a `hint` where there is one."""

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
        place = mark.file if mark.line is None else f"{mark.file}:{mark.line}:{mark.column}"
        lines = [": ".join(part for part in (place, self.path, self.message) if part)]
        if mark.column is not None and mark.text:
            number = "  " if mark.line is None else f"{mark.line:>5} | "
            lines.append(number + mark.text.expandtabs(1))
            blank = "  " if mark.line is None else "      | "
            lines.append(blank + " " * (mark.column - 1) + "^" * max(mark.width, 1))
        if self.hint:
            lines.append(f"  {self.hint}")
        return "\n".join(lines)


class ConfigError(UserError):
    """A config that can't be run. `str()` of it tells all that is wrong, in the order of the sources.

    Attributes:
        mistakes: a `Mistake` each; those of the command line last.
    """

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = sorted(mistakes, key=_position)
        super().__init__(self.mistakes)

    def __str__(self) -> str:
        return "\n".join(map(str, self.mistakes))


def dotted(path: Iterable[str | int]) -> str:
    """A field's path as people write it: ("figures", 0, "kind") is "figures[0].kind"."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def shown(value: Any) -> str:
    """A value as it would stand in a YAML file, cut to a readable length."""
    match value:
        case None | True | False:
            return {None: "null", True: "true", False: "false"}[value]
        case dict():
            return "a mapping"
        case list() | tuple():
            text = "[" + ", ".join(map(shown, value[:9])) + (", ...]" if len(value) > 9 else "]")
        case _:
            text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _position(mistake: Mistake) -> tuple[bool, str, int, int]:
    return (mistake.file == COMMAND_LINE, mistake.file, mistake.line or 0, mistake.column or 0)
