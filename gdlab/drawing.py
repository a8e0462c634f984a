"""The figures of a results folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gdlab import register, results
from gdlab.config import Config
from gdlab.errors import UserError
from gdlab.figures import save


def draw_all(
    folder: Path, config: Config, formats: Sequence[str], but: str | None = None
) -> tuple[list[Path], list[str]]:
    """Draw the figures of a config from its results, all but those of `but`: the files; what failed, and why."""
    drawn: list[Path] = []
    troubles: list[str] = []
    for number, figure in enumerate(config.figures):
        earlier = sum(other.kind == figure.kind for other in config.figures[:number])
        stem = figure.kind if not earlier else f"{figure.kind}-{earlier + 1}"
        if _of(figure.kind) == but:
            continue
        try:
            drawn += draw(folder, figure.kind, figure.hyperparameters, folder / results.FIGURES / stem, formats)
        except UserError as error:
            troubles.append(f"{stem}: {error}")
    return drawn, troubles


def draw(folder: Path, kind: str, options: Mapping[str, Any], stem: Path, formats: Sequence[str]) -> list[Path]:
    """Draw one figure from a results folder into files named `stem` and a format.

    Raises:
        gdlab.errors.UserError: the folder lacks what the figure is of, or the figure lacks what it is asked for.
    """

    data = results.open_landscape(folder) if _of(kind) == "landscape" else results.open_results(folder)
    figure = register.figures[kind].make(data, **options)
    stem.parent.mkdir(exist_ok=True)
    return save(figure, stem, formats=tuple(formats))


def _of(kind: str) -> str:
    """What a figure is drawn from: "sweep" or "landscape"."""
    return str(register.figures[kind].info.get("of", "sweep"))
