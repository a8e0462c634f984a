"""The text of a config file and places in it."""

import re
from pathlib import Path

from gdlab.config.errors import Mark, Mistake

_BREAKS = {True: re.compile("\r?\n"), False: re.compile("\r\n|[\n\r\x85\u2028\u2029]")}


class Source:
    """A named text.

    Attributes:
        file: its name in messages.
        text: all of it.
    """

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self._break = _BREAKS[self.is_toml]
        self._lines = self._break.split(text)

    @property
    def is_toml(self) -> bool:
        """Whether it is TOML, which ends lines in fewer ways than YAML."""
        return self.file.lower().endswith(".toml")

    @property
    def whole(self) -> Mark:
        """The file as such."""
        return Mark(self.file)

    def mark(self, line: int, column: int, width: int | None = None) -> Mark:
        """A place by line and column, from 1; without `width`, as far as the line's end or a comment."""
        text = self._lines[line - 1] if line <= len(self._lines) else ""
        rest = text[column - 1 :].partition(" #")[0].rstrip()
        return Mark(self.file, line, column, text, max(1, len(rest) if width is None else width))

    def mark_at(self, offset: int, end: int | None = None) -> Mark:
        """A place by its offset, from 0, and that of its end, where known."""
        before = self._break.split(self.text[:offset])
        one_line = end is not None and not self._break.search(self.text[offset:end])
        return self.mark(len(before), len(before[-1]) + 1, end - offset if end is not None and one_line else None)


def read(path: Path) -> Source | Mistake:
    """The text of a file, which must be UTF-8, or what keeps it from being read."""
    file = str(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Mistake("no such file", Mark(file))
    except IsADirectoryError:
        return Mistake("this is a folder, not a config file", Mark(file))
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        return Mistake(f"can't be read: {getattr(error, 'strerror', None) or error}", Mark(file))
    try:
        return Source(file, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        good = data[: error.start].decode("utf-8-sig", errors="replace")
        mark = Source(file, good + "\ufffd").mark_at(len(good))
        return Mistake(f"not UTF-8 text: byte {data[error.start]:#04x}", mark)
