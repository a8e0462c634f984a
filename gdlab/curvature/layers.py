"""The layers of a network by name, and the curvature of each."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax.tree_util import keystr, tree_flatten_with_path, treedef_is_leaf

from gdlab.curvature.eigen import Eigen, top
from gdlab.curvature.products import Matvec, hessian_product
from gdlab.types import Array, Params, PyTree


def split(params: Params) -> dict[str, PyTree]:
    """The params by layer: `{name: subtree}`, in the order of the leaves. Each leaf is in exactly one layer.

    A layer is the outermost node below the root that directly holds an array. An array directly below the root is a
    layer by itself. The name of a layer is its path, joined by "/":

    - {"layers": {0: {"bias", "kernel"}, 1: ...}}: "layers/0", "layers/1"
    - {"b", "w"}: "b", "w"
    - [(kernel, bias), (kernel, bias)]: "0", "1"
    - one array: "params"

    Raises:
        ValueError: two layers with the same name, as in {"a/b": ..., "a": {"b": ...}}.
    """
    names, subtrees, _ = _layers(params)
    return dict(zip(names, subtrees, strict=True))


def join(params: Params, layers: Mapping[str, PyTree]) -> Params:
    """The params with some of their layers replaced: `join(params, split(params))` is `params`.

    Raises:
        ValueError: a name that is not the name of a layer; see `split`.
    """
    names, subtrees, structure = _layers(params)
    for name in layers:
        if name not in names:
            raise ValueError(f"there is no layer {name!r}; there are {', '.join(names)}")
    replaced = [layers.get(name, subtree) for name, subtree in zip(names, subtrees, strict=True)]
    return jax.tree.unflatten(structure, replaced)


def layer_products(loss: Callable[[Params], Array], params: Params) -> dict[str, Matvec]:
    """`{layer: v -> H_l v}`: H_l is the layer's diagonal block of the Hessian, v a pytree like the layer's subtree.

    The largest eigenvalue of a block is at most that of the Hessian (Cauchy interlacing).
    """

    def product(name: str, subtree: PyTree) -> Matvec:
        return hessian_product(lambda layer: loss(join(params, {name: layer})), subtree)

    return {name: product(name, subtree) for name, subtree in split(params).items()}


def layer_top(loss: Callable[[Params], Array], params: Params, k: int, key: Array, **options: Any) -> dict[str, Eigen]:
    """`{layer: Eigen}`, the extreme eigenvalues of each block; arguments and errors as for `top`."""
    subtrees = split(params)
    keys = jax.random.split(key, len(subtrees))
    products = layer_products(loss, params).items()
    return {
        name: top(product, subtrees[name], k, key, **options)
        for (name, product), key in zip(products, keys, strict=True)
    }


def _layers(params: Params) -> tuple[list[str], list[PyTree], Any]:
    """The names and subtrees of the layers, and the treedef in which the subtrees are leaves."""

    def is_layer(node: PyTree) -> bool:
        if node is params:
            return False
        children, _ = tree_flatten_with_path(node, is_leaf=lambda inner: inner is not node)
        return any(treedef_is_leaf(jax.tree.structure(child)) for _, child in children)

    found, structure = tree_flatten_with_path(params, is_leaf=is_layer)
    names = [keystr(path, simple=True, separator="/") or "params" for path, _ in found]
    if len(set(names)) < len(names):
        raise ValueError(f"two layers have the same name: {', '.join(names)}")
    return names, [subtree for _, subtree in found], structure
