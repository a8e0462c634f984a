"""A config with one value changed or taken away."""

from dataclasses import replace

from gdlab.config.errors import Mark
from gdlab.config.merge import merge
from gdlab.config.node import Node, Path


def laid(node: Node, keys: list[tuple[str, Mark]], value: Node, mark: Mark, path: Path = ()) -> Node:
    """The node with a value laid over what stands at the keys; `mark` is that of the whole key."""
    (name, key), rest = keys[0], keys[1:]
    below = _below(node, name)
    if rest and below is not None and isinstance(below.value, dict | list):
        return _with(node, name, replace(laid(below, rest, value, mark, (*path, name)), key=below.key))
    for inner, inner_key in reversed(rest):
        value = Node({inner: replace(value, key=inner_key)}, mark)
    if isinstance(node.value, list):
        return _with(node, name, value)
    return merge(node, Node({name: replace(value, key=key)}, mark), path)


def without(node: Node, names: list[str]) -> Node:
    """The node without what stands at the names.

    Raises:
        KeyError: nothing stands there.
    """
    name, rest = names[0], names[1:]
    below = _below(node, name)
    if below is None:
        raise KeyError(name)
    return _with(node, name, without(below, rest) if rest else None)


def _below(node: Node, name: str) -> Node | None:
    if isinstance(node.value, list):
        return node.value[int(name)]
    return node.value.get(name) if isinstance(node.value, dict) else None


def _with(node: Node, name: str, below: Node | None) -> Node:
    """The mapping or list with another value at a name, or with none."""
    if isinstance(node.value, list):
        changed = [below if str(index) == name else inside for index, inside in enumerate(node.value)]
        return replace(node, value=[inside for inside in changed if inside is not None])
    inside = {key: value for key, value in node.value.items() if key != name or below is not None}
    return replace(node, value=inside if below is None else {**inside, name: below})
