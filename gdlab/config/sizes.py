"""Merge one of a config's sizes into it."""

from gdlab.config.errors import Mistake, shown
from gdlab.config.merge import merge
from gdlab.config.node import Node
from gdlab.errors import did_you_mean

SMALL = "small"


def apply_size(root: Node, changed: Node) -> tuple[Node, list[Mistake]]:
    """The config `root` with its size merged in; unchanged, with an error, if there is no such size.

    `changed` is the same config with the overrides, which may change `size` and `sizes`. Of `sizes`, only the name of
    the chosen size is kept, with no changes, so that the size is not merged again when the config is loaded from a
    results folder.
    """
    size, sizes = changed.at(["size"]), changed.at(["sizes"])
    if "size" not in changed.value or not isinstance(size.value, str) or size.value == SMALL:
        return root, []
    known = sizes.value if "sizes" in changed.value and isinstance(sizes.value, dict) else {}
    if size.value not in known:
        names = [SMALL, *known]
        hint = did_you_mean(size.value, names) or f"there {'are' if known else 'is'} {', '.join(names)}"
        return root, [Mistake(f"there is no size {shown(size.value)} of this config", size.mark, "size", hint)]
    over = known[size.value]
    if not isinstance(over.value, dict):
        where = f"sizes.{size.value}"
        return root, [Mistake(f"must be a mapping, not {shown(over.plain)}", over.mark, where)]
    kept = {"size": size, "sizes": Node({size.value: Node({}, over.mark, over.key)}, sizes.mark, sizes.key)}
    rest = Node({name: node for name, node in root.value.items() if name not in kept}, root.mark)
    merged = merge(rest, over)
    return Node({**merged.value, **kept}, root.mark), []
