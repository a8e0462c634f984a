"""Changes to a config from the command line: `train.steps=2000`."""

import re
from collections.abc import Iterable
from dataclasses import replace

from gdlab.config import yaml_source
from gdlab.config.merge import SPECS, merge
from gdlab.config.mistakes import COMMAND_LINE, Mark, Mistake, dotted
from gdlab.config.node import Node
from gdlab.config.source import Source

_OPTIONS = ("scale", "seed")  # of a random axis


class _UnknownError(Exception):
    """A key that can't be followed; the message says why."""


def override(root: Node, changes: Iterable[str]) -> tuple[Node, list[Mistake]]:
    """The config with each `key=value` laid over it, and what is wrong with those that could not be.

    The value is YAML 1.2 and is merged as in a file that extends another: a null takes a mapping away. `key=`, with
    nothing behind it, takes the key away. A key is split at its dots, the longest name that is there winning; all that
    follows `sweep.` is the name of an axis, but for a last `.log`, `.linear` or `.random` (and `.scale` or `.seed` of a
    random axis). Later changes win over earlier ones; those of a `kind` come first.
    """
    mistakes = []
    for change in sorted(changes, key=lambda change: not change.partition("=")[0].rstrip().endswith("kind")):
        key, equals, text = change.partition("=")
        source = _Line(change)
        if not equals or not key.strip():
            mistakes.append(Mistake("must be KEY=VALUE, such as train.steps=2000", source.span(0, len(change))))
            continue
        try:
            spans = _path(root, key)
            if not text.strip():
                root = _without(root, spans)
                continue
        except _UnknownError as problem:
            mistakes.append(Mistake(str(problem), source.span(0, len(key)), key.strip()))
            continue
        value, wrong = yaml_source.parse(_Value(change, len(key) + 1))
        mistakes += [replace(mistake, path=key.strip()) for mistake in wrong]
        if value is None or wrong:
            continue
        for depth in reversed(range(len(spans))):
            name, start, end = spans[depth]
            value = replace(value, key=source.span(start, end))
            value = Node({name: value}, source.span(0, len(key)))
        root = merge(root, value)
    return root, mistakes


class _Line:
    def __init__(self, change: str) -> None:
        self.change = change

    def span(self, start: int, end: int) -> Mark:
        text = re.sub(r"\s", " ", self.change)
        return Mark(COMMAND_LINE, None, start + 1, text, max(1, end - start))


class _Value(Source):
    """The value of a change as a text of its own, whose places are those in the whole change."""

    def __init__(self, change: str, start: int) -> None:
        super().__init__(COMMAND_LINE, change[start:])
        self._line = _Line(change)
        self._start = start
        self._change = change

    @property
    def whole(self) -> Mark:
        return self._line.span(self._start, len(self._change))

    def mark(self, line: int, column: int, width: int | None = None) -> Mark:
        if line > 1:
            return self.whole
        start = self._start + column - 1
        return self._line.span(start, len(self._change.rstrip()) if width is None else start + width)


def _path(root: Node, key: str) -> list[tuple[str, int, int]]:
    """The key's parts, each with its start and end in the text."""
    start = len(key) - len(key.lstrip())
    words = key.strip()
    if words.startswith("sweep.") and words != "sweep.":
        return [("sweep", start, start + 5), *_axis(root, words[6:], start + 6)]
    if "" in words.split("."):
        raise _UnknownError("a name is missing beside a dot")
    spans: list[tuple[str, int, int]] = []
    inside = root.value
    while words:
        if inside is not None and not isinstance(inside, dict):
            raise _UnknownError(f"{dotted(name for name, _, _ in spans)} is not a mapping, so it has nothing inside")
        known = [name for name in inside or {} if words == name or words.startswith(name + ".")]
        name = max(known, key=len) if known else words.partition(".")[0]
        spans.append((name, start, start + len(name)))
        inside = inside[name].value if known else None
        words, start = words[len(name) + 1 :], start + len(name) + 1
    return spans


def _axis(root: Node, words: str, start: int) -> list[tuple[str, int, int]]:
    axis, dot, last = words.rpartition(".")
    there = root.at(("sweep", axis)).value
    is_random = isinstance(there, dict) and "random" in there and axis in root.at(("sweep",)).value
    # `problem` is no axis, so what follows it is a hyperparameter of that name.
    if dot and axis and axis != "problem" and (last in SPECS or (last in _OPTIONS and is_random)):
        return [(axis, start, start + len(axis)), (last, start + len(axis) + 1, start + len(words))]
    return [(words, start, start + len(words))]


def _without(root: Node, spans: list[tuple[str, int, int]]) -> Node:
    names = [name for name, _, _ in spans]
    if not isinstance(root.value, dict) or names[0] not in root.value:
        raise _UnknownError("there is nothing here to take away")
    if len(names) == 1:
        return replace(root, value={name: node for name, node in root.value.items() if name != names[0]})
    return replace(root, value={**root.value, names[0]: _without(root.value[names[0]], spans[1:])})
