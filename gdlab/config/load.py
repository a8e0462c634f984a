"""Read a config file, check it and resolve the kinds in it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gdlab.config.choices import read_choices
from gdlab.config.code import CodeError, run_code
from gdlab.config.consistency import check_figures, check_names, check_required
from gdlab.config.errors import ConfigError, Mark
from gdlab.config.files import read_file
from gdlab.config.node import Node, Report
from gdlab.config.overrides import override
from gdlab.config.resolved import Resolved, resolve
from gdlab.config.schema import Config
from gdlab.config.sizes import apply_size
from gdlab.config.validation_messages import report_validation_errors
from gdlab.config.values import check_batches, check_repeats, check_values


def load(path: str | Path, overrides: Iterable[str] = (), *, code_dir: str | Path | None = None) -> Resolved:
    """Read a config file, merge the overrides into it, run its `code`, check it and resolve the kinds in it.

    Args:
        path: YAML 1.2. `extends: FILE` merges it over another config, and `size: NAME` merges `sizes.NAME` over it.
        overrides: `train.steps=2000`, in YAML 1.2; see `gdlab.config.overrides.override`.
        code_dir: the folder that the paths of `code` are relative to; by default the folder of `path`.

    Figures are checked against the registered ones: import `gdlab.figures` first.

    Raises:
        ConfigError: with every error in the file, its bases, its code and the overrides.
    """
    path = Path(path)
    overrides = list(overrides)
    written, report = _read(path, overrides)
    _run_code(written.get("code"), path.parent if code_dir is None else Path(code_dir), report)
    config = _validated(written, report)
    choices = read_choices(written, report)
    check_names(written, choices, report)
    check_required(choices, report)
    check_values(choices, report)
    check_repeats(choices, report)
    check_batches(written, choices, report)
    check_figures(written, choices, report)
    if report.mistakes or config is None:
        raise ConfigError(report.mistakes)
    return resolve(config, choices, report.root)


def _read(path: Path, overrides: list[str]) -> tuple[dict[str, Any], Report]:
    """The config as written, with its size and the overrides merged in, and the errors so far."""
    root, mistakes = read_file(path)
    if root is None:
        # Without the config, the keys of the overrides can't be checked, so only errors in their form are reported.
        _, wrong = override(Node({}, Mark(str(path))), overrides)
        raise ConfigError([*mistakes, *(mistake for mistake in wrong if not mistake.path)])
    changed, wrong = override(root, overrides)
    at_size, wrong_size = apply_size(root, changed)
    if at_size is not root:
        changed, wrong = override(at_size, overrides)
    return changed.plain, Report(changed, [*mistakes, *wrong, *wrong_size])


def _validated(written: dict[str, Any], report: Report) -> Config | None:
    try:
        return Config.model_validate(written)
    except ValidationError as error:
        report_validation_errors(error, written, report)
        return None


def _run_code(code: Any, folder: Path, report: Report) -> None:
    for index, file in enumerate(code if isinstance(code, list) else []):
        if isinstance(file, str):
            try:
                run_code(folder / file)
            except CodeError as error:
                report.add(("code", index), str(error))
