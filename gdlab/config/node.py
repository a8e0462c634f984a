"""A config as written: values, each with its position."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gdlab.config.errors import Mark, Mistake, dotted

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Node:
    """A value and its position.

    Attributes:
        value: a scalar, `{key: Node}` or `[Node]`.
        mark: the position of the value.
        key: the position of its key, if it has one.
    """

    value: Any
    mark: Mark
    key: Mark | None = None

    @property
    def plain(self) -> Any:
        """The value alone."""
        if isinstance(self.value, dict):
            return {name: node.plain for name, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain for node in self.value]
        return self.value

    def at(self, path: Iterable[str | int]) -> "Node":
        """The node at `path`, or the nearest existing one above it."""
        node = self
        for part in path:
            inside = node.value
            known = isinstance(inside, dict) and part in inside
            if not known and not (isinstance(inside, list) and isinstance(part, int) and 0 <= part < len(inside)):
                return node
            node = inside[part]
        return node


class Report:
    """The errors found in one config so far.

    Attributes:
        root: the config as written.
        mistakes: the errors, in the order in which they were found.
    """

    def __init__(self, root: Node, mistakes: Iterable[Mistake] = ()) -> None:
        self.root = root
        self.mistakes = list(mistakes)
        self._paths: set[Path] = set()

    def add(self, path: Sequence[str | int], message: str, *, hint: str = "", key: bool = False) -> None:
        """Add an error in the value at `path`, or in its key. Only the first error for each path is kept."""
        place = tuple(path)
        if place in self._paths:
            return
        self._paths.add(place)
        node = self.root.at(place)
        mark = node.key if key and node.key is not None else node.mark
        self.mistakes.append(Mistake(message, mark, dotted(place), hint))

    def faulty(self, *path: str | int) -> bool:
        """Whether there is an error at `path`, above it or below it."""
        return any(place[: len(path)] == path[: len(place)] for place in self._paths)
