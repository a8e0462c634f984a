"""A config at one of its sizes."""

from gdlab.config.errors import Mistake, shown
from gdlab.config.merge import merge
from gdlab.config.node import Node
from gdlab.errors import did_you_mean

SMALL = "small"


def apply_size(root: Node, asked_for: Node) -> tuple[Node, list[Mistake]]:
    """The config `root` with what is laid over it at its size; or as it is, and what is wrong with the size.

    `asked_for` is the same config with all changes to it, which says which size and what the sizes are. Of `sizes` it
    stays known which one was laid over, so that what is written to a results folder loads as it is.
    """
    size, sizes = asked_for.at(["size"]), asked_for.at(["sizes"])
    if "size" not in asked_for.value or not isinstance(size.value, str) or size.value == SMALL:
        return root, []
    known = sizes.value if "sizes" in asked_for.value and isinstance(sizes.value, dict) else {}
    if size.value not in known:
        names = [SMALL, *known]
        hint = did_you_mean(size.value, names) or f"there {'are' if known else 'is'} {', '.join(names)}"
        return root, [Mistake(f"there is no size {shown(size.value)} of this config", size.mark, "size", hint)]
    over = known[size.value]
    if not isinstance(over.value, dict):
        where = f"sizes.{size.value}"
        return root, [Mistake(f"must be a mapping, not {shown(over.plain)}", over.mark, where)]
    settled = {"size": size, "sizes": Node({size.value: Node({}, over.mark, over.key)}, sizes.mark, sizes.key)}
    rest = Node({name: node for name, node in root.value.items() if name not in settled}, root.mark)
    laid = merge(rest, over)
    return Node({**laid.value, **settled}, root.mark), []
