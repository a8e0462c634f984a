"""Read a config file and the files that it extends."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from gdlab.config import yaml_source
from gdlab.config.errors import Mark, Mistake, shown
from gdlab.config.merge import merge
from gdlab.config.node import Node
from gdlab.config.source import read


def read_file(path: Path) -> tuple[Node | None, list[Mistake]]:
    """The config in `path`, merged over its bases, each value with its position in its file; and the errors.

    `extends: FILE` is relative to the file that has it. The paths of `code` become relative to the folder of `path`.
    The node is None if one of the files can't be read or parsed, since the merged config is then unknown.
    """
    return _read(path, path.parent, None, ())


def _read(
    path: Path, folder: Path, extended_at: Mark | None, above: tuple[str, ...]
) -> tuple[Node | None, list[Mistake]]:
    node, mistakes = _parsed(path, extended_at)
    if node is None:
        return None, mistakes
    node = _relocated(node, path.parent, folder)
    base = node.value.get("extends")
    if base is None:
        return node, mistakes
    node = replace(node, value={name: inside for name, inside in node.value.items() if name != "extends"})
    if not isinstance(base.value, str) or not base.value:
        wrong = Mistake(f"must be the path of a config file, not {shown(base.plain)}", base.mark, "extends")
        return None, [*mistakes, wrong]
    below = Path(os.path.normpath(path.parent / base.value))
    chain = (*above, os.path.realpath(path))
    if os.path.realpath(below) in chain:
        return None, [*mistakes, Mistake(f"{below} extends itself, by way of this file", base.mark, "extends")]
    under, more = _read(below, folder, base.mark, chain)
    return None if under is None else merge(under, node), [*mistakes, *more]


def _parsed(path: Path, extended_at: Mark | None) -> tuple[Node | None, list[Mistake]]:
    source = read(path)
    if isinstance(source, Mistake):
        return None, [source if extended_at is None else Mistake(f"{path}: {source.message}", extended_at, "extends")]
    node, mistakes = yaml_source.parse(source)
    if node is None:
        return None, mistakes or [Mistake("the file is empty", Mark(source.file))]
    if not isinstance(node.value, dict):
        return None, [*mistakes, Mistake(f"a config is a mapping, not {shown(node.plain)}", node.mark)]
    return node, mistakes


def _relocated(node: Node, here: Path, folder: Path) -> Node:
    """The node with its `code` paths relative to `folder` instead of `here`."""
    code = node.value.get("code")
    if code is None or not isinstance(code.value, list) or here == folder:
        return node
    moved = [
        replace(path, value=Path(os.path.relpath(here / path.value, folder)).as_posix())
        if isinstance(path.value, str) and path.value and not Path(path.value).is_absolute()
        else path
        for path in code.value
    ]
    return replace(node, value={**node.value, "code": replace(code, value=moved)})


def said_in(path: Path, keys: Iterable[str]) -> dict[str, Any]:
    """The unchecked values of some keys of a config file merged over its bases; None for keys that are not given."""
    node, _ = read_file(path)
    return {key: node.value[key].plain if node is not None and key in node.value else None for key in keys}
