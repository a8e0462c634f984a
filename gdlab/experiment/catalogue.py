"""The experiments of `gdlab reproduce`: the configs that have checks."""

from pathlib import Path
from typing import NamedTuple

from gdlab.config import said_in
from gdlab.errors import UserError

CONFIGS = "configs"


class Experiment(NamedTuple):
    """An experiment: its config, the config's leading comment, its sizes except small, and the kinds of its checks."""

    slug: str
    path: Path
    description: str
    sizes: tuple[str, ...]
    checks: tuple[str, ...]


def known_experiments() -> dict[str, Experiment]:
    """The experiments by slug, from the folder `configs` in the working directory.

    If there is no such folder, the experiments are read from the checkout that contains this package.

    Raises:
        UserError: neither folder exists.
    """
    for folder in (Path(CONFIGS), Path(__file__).parents[2] / CONFIGS):
        if folder.is_dir():
            break
    else:
        raise UserError(
            "there is no folder configs here; the experiments are part of a checkout of gdlab, not of a wheel"
        )
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        given = said_in(path, ("checks", "sizes"))
        if given["checks"]:
            checks = tuple(check if isinstance(check, str) else check["kind"] for check in given["checks"])
            sizes = tuple(given["sizes"] or ())
            found[path.stem] = Experiment(path.stem, path, leading_comment(path), sizes, checks)
    return found


def leading_comment(path: Path) -> str:
    """The first comment line of a config, without `#`; empty if there is none. Comments for editors are skipped."""
    comments = [line.lstrip("# ") for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# ")]
    return next((line for line in comments if "yaml-language-server" not in line), "")
