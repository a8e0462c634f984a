"""Set or remove one value of a config."""

from dataclasses import replace

from gdlab.config.errors import Mark
from gdlab.config.merge import merge
from gdlab.config.node import Node, Path


def set_at(node: Node, keys: list[tuple[str, Mark]], value: Node, mark: Mark, path: Path = ()) -> Node:
    """The node with `value` merged in at a path of keys. `mark` is the position of the whole dotted key."""
    (name, key), rest = keys[0], keys[1:]
    below = _below(node, name)
    if rest and below is not None and _can_hold(below, rest[0][0]):
        return _with(node, name, replace(set_at(below, rest, value, mark, (*path, name)), key=below.key))
    for inner, inner_key in reversed(rest):
        value = Node({inner: replace(value, key=inner_key)}, mark)
    if isinstance(node.value, list):
        return _with(node, name, value)
    return merge(node, Node({name: replace(value, key=key)}, mark), path)


def remove_at(node: Node, names: list[str]) -> Node:
    """The node without the value at the path `names`.

    Raises:
        KeyError: there is no such value.
    """
    name, rest = names[0], names[1:]
    below = _below(node, name)
    if below is None:
        raise KeyError(name)
    return _with(node, name, remove_at(below, rest) if rest else None)


def _below(node: Node, name: str) -> Node | None:
    if isinstance(node.value, list):
        return dict(zip(map(str, range(len(node.value))), node.value, strict=True)).get(name)
    return node.value.get(name) if isinstance(node.value, dict) else None


def _can_hold(node: Node, name: str) -> bool:
    """Whether a name can be set inside the node: any name in a mapping, an existing index in a list."""
    return isinstance(node.value, dict) or (isinstance(node.value, list) and _below(node, name) is not None)


def _with(node: Node, name: str, below: Node | None) -> Node:
    """The mapping or list with `below` at a name; without that name if `below` is None."""
    if isinstance(node.value, list):
        changed = [below if str(index) == name else inside for index, inside in enumerate(node.value)]
        return replace(node, value=[inside for inside in changed if inside is not None])
    inside = {key: value for key, value in node.value.items() if key != name or below is not None}
    return replace(node, value=inside if below is None else {**inside, name: below})
