"""TOML into nodes. The standard library gives the values but no places; a scan of the valid text finds those."""

import re
import tomllib
from datetime import date, datetime, time
from typing import Any

from gdlab.config.errors import Mark, Mistake
from gdlab.config.node import Node, Path
from gdlab.config.source import Source

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_QUOTED = re.compile(
    r"""\"\"\"(?:\\.|(?!\"\"\").)*\"{3,5}|'''(?:(?!''').)*'{3,5}|"(?:\\.|[^"\\])*"|'[^']*'""", re.DOTALL
)
_PLAIN = re.compile(r"\d{4}-\d\d-\d\d \d\d:[^\s,\]}#]*|[^\s,\]}#]+")  # a date and its time may have a space between


def parse(source: Source) -> tuple[Node | None, list[Mistake]]:
    """The document and what is wrong with it; no document where the text is not TOML or is empty."""
    try:
        data = tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        return None, [_syntax(str(error), source)]
    except RecursionError:
        return None, [Mistake("nested too deeply", source.whole)]
    except ValueError as error:  # a whole number of thousands of digits
        return None, [Mistake(f"not valid TOML: {error}", source.whole)]
    if not data:
        return None, []
    scan = _Scan(source)
    scan.document()
    return _node(data, (), scan, source.mark(1, 1)), []


class _Scan:
    """One pass over a valid document.

    Attributes:
        keys: where the key of each path stands, first.
        values: where the value of each path stands.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.here = 0
        self.keys: dict[Path, Mark] = {}
        self.values: dict[Path, Mark] = {}
        self._tables: dict[Path, int] = {}  # arrays of tables: how many so far

    def document(self) -> None:
        prefix: Path = ()
        while self._blank() < len(self.text):
            if self.text[self.here] == "[":
                prefix = self._header()
            else:
                self._pair(prefix)

    def _header(self) -> Path:
        many = self.text.startswith("[[", self.here)
        self.here += 2 if many else 1
        path = self._key(())
        self._blank()
        self.here += 2 if many else 1
        if many:
            count = self._tables.get(path, 0)
            self._tables[path] = count + 1
            self.values[(*path, count)] = self.keys.get(path, self.source.whole)
            return (*path, count)
        return path

    def _pair(self, prefix: Path) -> None:
        path = self._key(prefix)
        self._blank()
        self.here += 1  # the equals sign
        self._value(path)

    def _key(self, prefix: Path) -> Path:
        """A dotted key; in a header, a part that names an array of tables means its last table."""
        path = prefix
        while True:
            self._blank()
            start = self.here
            if self.text[start] in "\"'":
                self.here = self._match(_QUOTED)
                part = tomllib.loads(f"key = {self.text[start : self.here]}")["key"]
            else:
                self.here = self._match(_BARE_KEY)
                part = self.text[start : self.here]
            path = (*path, part)
            self.keys.setdefault(path, self.source.mark_at(start, self.here))
            dot = _DOT.match(self.text, self.here)
            if dot is None:
                return path
            self.here = dot.end()
            if path in self._tables:
                path = (*path, self._tables[path] - 1)

    def _value(self, path: Path) -> None:
        self._blank()
        start = self.here
        opening = self.text[start]
        if opening in "[{":
            self.here += 1
            index = 0
            while self.text[self._blank()] not in "]}":
                if self.text[self.here] == ",":
                    self.here += 1
                elif opening == "[":
                    self._value((*path, index))
                    index += 1
                else:
                    self._pair(path)
            self.here += 1
        else:
            self.here = self._match(_QUOTED if opening in "\"'" else _PLAIN)
        self.values[path] = self.source.mark_at(start, self.here)

    def _blank(self) -> int:
        self.here = self._match(_BLANK)
        return self.here

    def _match(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self.text, self.here)
        assert found is not None  # the text was read without a mistake
        return found.end()


def _node(value: Any, path: Path, scan: _Scan, above: Mark) -> Node:
    key = scan.keys.get(path)
    mark = scan.values.get(path, key or above)
    if isinstance(value, dict):
        value = {name: _node(inside, (*path, name), scan, mark) for name, inside in value.items()}
    elif isinstance(value, list):
        value = [_node(inside, (*path, index), scan, mark) for index, inside in enumerate(value)]
    elif isinstance(value, datetime | date | time):
        value = value.isoformat()  # as in YAML: no field holds a date
    return Node(value, mark, key)


def _syntax(message: str, source: Source) -> Mistake:
    problem, _, place = message.partition(" (at ")
    found = re.match(r"line (\d+), column (\d+)", place)
    mark = source.mark(int(found[1]), int(found[2]), 1) if found else source.mark_at(len(source.text.rstrip()))
    return Mistake(f"not valid TOML: {problem[:1].lower()}{problem[1:]}", mark)
