"""Merge one config over another."""

from dataclasses import replace

from gdlab.config.errors import COMMAND_LINE
from gdlab.config.node import Node, Path

CHAIN = "chain"  # the key of a sweep whose value is a list of spaces
DRAWN = ("random", "sobol")  # values drawn between two ends, with the options scale and seed
SPECS = ("log", "linear", *DRAWN)


def merge(base: Node, over: Node, path: Path = ()) -> Node:
    """`over` merged over `base`: mappings are merged key by key, everything else is replaced.

    A null merged over a mapping, a list or an axis removes it. A mapping with another `kind` replaces the old mapping,
    since the old hyperparameters belong to the old kind. An axis written as a spacing replaces the old axis.
    """
    if not isinstance(base.value, dict) or not isinstance(over.value, dict) or _replaces(base.value, over.value, path):
        return over
    merged = dict(base.value)
    for name, node in over.value.items():
        below = merged.get(name)
        if below is None:
            merged[name] = node
        elif node.value is None and (isinstance(below.value, dict | list) or holds_axes(path)):
            del merged[name]
        else:
            merged[name] = merge(below, node, (*path, name))
    # An override names a mapping only to set a value in it, so the mapping keeps its position.
    return replace(base if over.mark.file == COMMAND_LINE else over, value=merged)


def holds_axes(path: Path) -> bool:
    """Whether the mapping at the path holds axes: the sweep, or a part of its chain."""
    return path == ("sweep",) or (len(path) == 3 and path[:2] == ("sweep", CHAIN))


def _replaces(base: dict[str, Node], over: dict[str, Node], path: Path) -> bool:
    if holds_axes(path[:-1]):
        return any(form in over for form in SPECS)
    return "kind" in base and "kind" in over and base["kind"].plain != over["kind"].plain
