"""Changes to a config from the command line: `train.steps=2000`."""

import re
from collections.abc import Iterable
from dataclasses import replace

from gdlab.config import yaml_source
from gdlab.config.edit import remove_at, set_at
from gdlab.config.errors import COMMAND_LINE, Mark, Mistake, dotted
from gdlab.config.merge import CHAIN, DRAWN, SPECS
from gdlab.config.node import Node
from gdlab.config.source import Source
from gdlab.config.yaml_scalar import is_sound

_OPTIONS = ("scale", "seed", "n")  # options of axes that are drawn


class _UnknownError(Exception):
    """No value can be set at the key; the message says why."""


def override(root: Node, changes: Iterable[str]) -> tuple[Node, list[Mistake]]:
    """The config with each `key=value` merged into it, and the errors in those that are not valid.

    The value is YAML 1.2 and is merged as in a file that extends another: a null removes a mapping. `key=`,
    without a value, removes the key. A key is split at its dots; if existing names contain dots, the longest matching
    name is used. In a list, a name is an index, from 0 (`figures.0.metric=eval_accuracy`). Everything after `sweep.`,
    or after `sweep.chain.0.` in a part of a chain, is the name of an axis, except a last `.log`, `.linear`, `.random`
    or `.sobol` (or an option of an axis that is drawn). Changes of a `kind` are applied first, then the others in
    order, so later changes override earlier ones.
    """
    mistakes = []
    for change in sorted(changes, key=lambda change: not _is_kind(change)):
        key, equals, text = change.partition("=")
        source = _Line(change)
        if not is_sound(change):
            mark = Mark(COMMAND_LINE, None, 1, ascii(change), len(ascii(change)))
            mistakes.append(Mistake("must be UTF-8 text without control characters", mark))
            continue
        if not equals or not key.strip():
            mistakes.append(Mistake("must be KEY=VALUE, such as train.steps=2000", source.span(0, len(change))))
            continue
        try:
            spans = _path(root, key)
            if not text.strip():
                root = remove_at(root, [name for name, _, _ in spans])
                continue
        except (_UnknownError, KeyError) as problem:
            message = str(problem) if isinstance(problem, _UnknownError) else "there is no such key to remove"
            mistakes.append(Mistake(message, source.span(0, len(key)), key.strip()))
            continue
        value, wrong = yaml_source.parse(_Value(change, len(key) + 1))
        mistakes += [replace(mistake, path=key.strip()) for mistake in wrong]
        if value is None and not wrong:
            mistakes.append(Mistake("the value is only a comment", source.span(len(key) + 1, len(change)), key.strip()))
        if value is None or wrong:
            continue
        keys = [(name, source.span(start, end)) for name, start, end in spans]
        root = set_at(root, keys, value, source.span(0, len(key)))
    return root, mistakes


def _is_kind(change: str) -> bool:
    return change.partition("=")[0].strip().rpartition(".")[2] == "kind"


class _Line:
    def __init__(self, change: str) -> None:
        self.change = change

    def span(self, start: int, end: int) -> Mark:
        text = re.sub(r"\s", " ", self.change)
        return Mark(COMMAND_LINE, None, start + 1, text, max(1, end - start))


class _Value(Source):
    """The value of a change `key=value`, with positions in the whole change."""

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
        return [("sweep", start, start + 5), *_swept(root.at(("sweep",)), words[6:], start + 6)]
    if "" in words.split("."):
        raise _UnknownError("there is no name before or after a dot")
    spans: list[tuple[str, int, int]] = []
    inside = root.value
    while words:
        name = words.partition(".")[0]
        if isinstance(inside, list):
            inside = _counted(inside, name, dotted(part for part, _, _ in spans)).value
        elif isinstance(inside, dict) or inside is None:
            known = [part for part in inside or {} if words == part or words.startswith(part + ".")]
            name = max(known, key=len) if known else name
            inside = inside[name].value if inside and known else None
        else:
            raise _UnknownError(f"{dotted(part for part, _, _ in spans)} is not a mapping, so no key can be set in it")
        spans.append((name, start, start + len(name)))
        words, start = words[len(name) + 1 :], start + len(name) + 1
    return spans


def _counted(inside: list[Node], name: str, place: str) -> Node:
    if name not in [str(index) for index in range(len(inside))]:
        raise _UnknownError(f"{place} is a list of {len(inside)}, counted from 0")
    return inside[int(name)]


def _swept(axes: Node, words: str, start: int) -> list[tuple[str, int, int]]:
    """The parts of a key below `sweep`: an axis, a part of a chain (`chain.0`), or an axis in a part (`chain.0.lr`)."""
    parts = axes.value.get(CHAIN) if isinstance(axes.value, dict) else None
    if parts is None or not isinstance(parts.value, list) or not words.startswith(f"{CHAIN}."):
        return _axis(axes, words, start)
    at = start + len(CHAIN) + 1
    name, dot, rest = words[at - start :].partition(".")
    part = _counted(parts.value, name, f"sweep.{CHAIN}")
    spans = [(CHAIN, start, at - 1), (name, at, at + len(name))]
    return [*spans, *_axis(part, rest, at + len(name) + 1)] if dot and rest else spans


def _axis(axes: Node, words: str, start: int) -> list[tuple[str, int, int]]:
    axis, dot, last = words.rpartition(".")
    there = axes.value.get(axis) if isinstance(axes.value, dict) else None
    is_drawn = there is not None and isinstance(there.value, dict) and any(form in there.value for form in DRAWN)
    # `sweep.problem.log` is the problem's hyperparameter `log`: `problem` is not an axis.
    if dot and axis and axis != "problem" and (last in SPECS or (last in _OPTIONS and is_drawn)):
        return [(axis, start, start + len(axis)), (last, start + len(axis) + 1, start + len(words))]
    return [(words, start, start + len(words))]
