"""The known experiments: the configs of a folder that hold their results against claims."""

from pathlib import Path
from typing import NamedTuple

from gdlab.config import said_in
from gdlab.errors import UserError

CONFIGS = "configs"


class Known(NamedTuple):
    """An experiment: its config, what its leading comment says of it, and the sizes it can be run at beside small."""

    slug: str
    path: Path
    words: str
    sizes: tuple[str, ...]


def known_experiments() -> dict[str, Known]:
    """By slug, the experiments in `configs/` here, or else in that of the checkout that this package lies in.

    Raises:
        UserError: there is no such folder.
    """
    for folder in (Path(CONFIGS), Path(__file__).parents[2] / CONFIGS):
        if folder.is_dir():
            break
    else:
        raise UserError(
            "there is no folder configs here; the experiments come with a checkout of gdlab, not with a wheel"
        )
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        said = said_in(path, ("checks", "sizes"))
        if said["checks"]:
            found[path.stem] = Known(path.stem, path, leading_comment(path), tuple(said["sizes"] or ()))
    return found


def leading_comment(path: Path) -> str:
    """The first comment of a config that is for readers, without its sign; empty if there is none."""
    comments = [line.lstrip("# ") for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# ")]
    return next((line for line in comments if "yaml-language-server" not in line), "")
