"""The text of a config file and positions in it."""

import re
from pathlib import Path

from gdlab.config.errors import Mark, Mistake

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_LARGEST = 10_000_000  # bytes; a config is written by hand


class Source:
    """A named text.

    Attributes:
        file: its name in messages.
        text: all of it.
    """

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self._lines = _BREAK.split(text)

    @property
    def whole(self) -> Mark:
        """The position of the whole file."""
        return Mark(self.file)

    def mark(self, line: int, column: int, width: int | None = None) -> Mark:
        """A position by line and column, from 1; without `width`, up to the end of the line or a comment."""
        text = self._lines[line - 1] if line <= len(self._lines) else ""
        if width is None:
            width = len(text[column - 1 :].partition(" #")[0].rstrip())
        return Mark(self.file, line, column, text, max(1, width))

    def mark_at(self, offset: int) -> Mark:
        """The position of one character by its offset from 0."""
        before = _BREAK.split(self.text[:offset])
        return self.mark(len(before), len(before[-1]) + 1, 1)


def read(path: Path) -> Source | Mistake:
    """The text of a file, which must be UTF-8; or why it can't be read."""
    file = str(path)
    if path.suffix.lower() == ".toml":
        return Mistake("a config is a YAML file; TOML is not supported", Mark(file), hint="write it as .yaml")
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= _LARGEST else b""
    except FileNotFoundError:
        return Mistake("no such file", Mark(file))
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        is_folder = isinstance(error, IsADirectoryError)
        reason = f"can't be read: {getattr(error, 'strerror', None) or error}"
        return Mistake("this is a folder, not a config file" if is_folder else reason, Mark(file))
    if size > _LARGEST:
        return Mistake(f"a config has at most {_LARGEST:,} bytes, and this file has {size:,}", Mark(file))
    try:
        return Source(file, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        good = data[: error.start].decode("utf-8-sig", errors="replace")
        mark = Source(file, good + "\ufffd").mark_at(len(good))
        return Mistake(f"not UTF-8 text: byte {data[error.start]:#04x}", mark)
