"""From a config file to a checked `Config`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gdlab.config import overrides as changes
from gdlab.config.choices import read_choices
from gdlab.config.code import CodeError, run_code
from gdlab.config.consistency import check_figures, check_names, check_required
from gdlab.config.errors import ConfigError, Mark
from gdlab.config.files import read_file
from gdlab.config.node import Node, Report
from gdlab.config.schema import Config
from gdlab.config.sizes import sized
from gdlab.config.values import check_batches, check_values
from gdlab.config.wording import tell


def load(path: str | Path, overrides: Iterable[str] = (), *, code_dir: str | Path | None = None) -> Config:
    """Read a config file, lay the overrides over it, run its `code` and check all of it.

    Args:
        path: `.toml` is TOML, anything else YAML 1.2; `extends: FILE` in it lays it over another, and `size: NAME` lays
            over it what it says at `sizes.NAME`.
        overrides: `train.steps=2000`, in YAML 1.2; see `gdlab.config.overrides.override`.
        code_dir: what the paths of `code` are relative to; by default the folder of `path`.

    Figures are checked against those registered, which is for the caller to see to (`import gdlab.figures`).

    Raises:
        ConfigError: with every mistake in the file, its bases, its code and the overrides.
    """
    path = Path(path)
    root, mistakes = read_file(path)
    if root is None:
        _, more = changes.override(Node({}, Mark(str(path))), overrides)
        raise ConfigError([*mistakes, *(mistake for mistake in more if not mistake.path)])
    overrides = list(overrides)
    changed, more = changes.override(root, overrides)
    laid, wrong = sized(root, changed)
    if laid is not root:
        changed, more = changes.override(laid, overrides)
    report = Report(changed, [*mistakes, *more, *wrong])
    root = changed
    written = root.plain
    _run_code(written.get("code"), path.parent if code_dir is None else Path(code_dir), report)
    config = _validated(written, report)
    choices = read_choices(written, report)
    check_names(written, choices, report)
    check_required(choices, report)
    check_values(choices, report)
    check_batches(written, choices, report)
    check_figures(written, choices, report)
    if report.mistakes or config is None:
        raise ConfigError(report.mistakes)
    return config


def _validated(written: dict[str, Any], report: Report) -> Config | None:
    try:
        return Config.model_validate(written)
    except ValidationError as error:
        tell(error, written, report)
        return None


def _run_code(code: Any, folder: Path, report: Report) -> None:
    for index, file in enumerate(code if isinstance(code, list) else []):
        if isinstance(file, str):
            try:
                run_code(folder / file)
            except CodeError as error:
                report.add(("code", index), str(error))
