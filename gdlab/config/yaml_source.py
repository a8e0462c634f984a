"""Parse YAML 1.2 into nodes."""

from dataclasses import replace
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode

from gdlab.config.errors import Mark, Mistake, is_printable, shown
from gdlab.config.node import Node
from gdlab.config.source import Source
from gdlab.config.yaml_errors import MOST_NODES, TooLargeError, syntax_error
from gdlab.config.yaml_scalar import is_sound, value

_TAG = "tag:yaml.org,2002:"


def parse(source: Source) -> tuple[Node | None, list[Mistake]]:
    """The document and its errors; no document if the text is not YAML or is empty."""
    reader = _Reader(source)
    try:
        yaml = YAML(typ="safe", pure=True)
        yaml.Composer = _BoundedComposer
        root = yaml.compose(source.text)
        return None if root is None else reader.node(root), reader.mistakes
    except (YAMLError, ValueError, OverflowError, RecursionError, TooLargeError) as error:
        return None, [syntax_error(error, source)]


class _BoundedComposer(Composer):
    """A composer that refuses a document with too many values; each takes some kilobytes and 50 microseconds."""

    count = 0

    def compose_node(self, parent: Any, index: int) -> Any:
        self.count += 1
        if self.count > MOST_NODES:
            raise TooLargeError
        return super().compose_node(parent, index)


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.mistakes: list[Mistake] = []
        self._done: dict[int, tuple[Node, int]] = {}  # by id, since an alias is the same object as its anchor
        self._open: set[int] = set()

    def node(self, written: YamlNode) -> Node:
        return self._sized(written)[0]

    def _sized(self, written: YamlNode) -> tuple[Node, int]:
        if id(written) in self._done:
            return self._done[id(written)]
        mark = self._mark(written)
        if id(written) in self._open:
            self._wrong(written, "an alias can't contain itself")
            return Node(None, mark), 1
        self._open.add(id(written))
        inside: Any = None
        size = 1
        if isinstance(written, MappingNode):
            inside, size = self._mapping(written)
        elif isinstance(written, SequenceNode):
            parts = [self._sized(part) for part in written.value]
            inside, size = [part for part, _ in parts], 1 + sum(n for _, n in parts)
        elif isinstance(written, ScalarNode):
            inside = self._scalar(written)
        if size > MOST_NODES:
            raise TooLargeError
        if not _known_tag(written):
            self._wrong(written, f"unknown tag {_tag(written)}")
        self._open.discard(id(written))
        self._done[id(written)] = Node(inside, mark), size
        return self._done[id(written)]

    def _mapping(self, written: MappingNode) -> tuple[dict[str, Node], int]:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        size = 1
        for key, inside in written.value:
            if _tag(key) == _TAG + "merge":
                for source in inside.value if isinstance(inside, SequenceNode) else [inside]:
                    node, n = self._sized(source)
                    size += n
                    if not isinstance(node.value, dict):
                        self._wrong(source, "only a mapping can be merged with <<")
                        continue
                    merged = {**node.value, **merged}
                continue
            if not isinstance(key, ScalarNode) or not key.value or not is_printable(key.value):
                self._wrong(key, "a key must be text without control characters")
                continue
            node, n = self._sized(inside)
            size += n
            if key.value in own:
                first = own[key.value].key
                where = f", first in line {first.line}" if first is not None and first.line is not None else ""
                self._wrong(key, f"the key {shown(key.value)} is given twice{where}")
                continue
            own[key.value] = replace(node, key=self._mark(key))
        return {**own, **{name: node for name, node in merged.items() if name not in own}}, size

    def _scalar(self, written: ScalarNode) -> Any:
        if not is_sound(written.value):
            self._wrong(written, "text can't contain control characters")
            return None
        try:
            return value(_tag(written).removeprefix(_TAG), written.value)
        except (ValueError, OverflowError):
            self._wrong(written, f"{written.value[:60]!r} can't be read as a number")
            return None

    def _mark(self, written: YamlNode) -> Mark:
        start, end = written.start_mark, written.end_mark
        width = end.column - start.column if end.line == start.line else None
        return self.source.mark(start.line + 1, start.column + 1, width)

    def _wrong(self, written: YamlNode, message: str) -> None:
        self.mistakes.append(Mistake(message, self._mark(written)))


def _tag(written: YamlNode) -> str:
    return str(written.tag)


def _known_tag(written: YamlNode) -> bool:
    kinds = {
        MappingNode: ("map",),
        SequenceNode: ("seq",),
        ScalarNode: ("null", "bool", "int", "float", "str", "timestamp", "merge", "value"),
    }
    return _tag(written) in [_TAG + name for name in kinds[type(written)]]
