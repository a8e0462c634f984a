"""The figures of a results folder."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from gdlab import register
from gdlab.config import Resolved
from gdlab.errors import UserError
from gdlab.experiment import results
from gdlab.figures import save
from gdlab.figures.verdicts import under


def draw_all(
    folder: Path, resolved: Resolved, formats: Sequence[str], but: Collection[str] = ()
) -> tuple[list[Path], list[str]]:
    """Draw the figures of a config from its results, but those of the parts `but`: the files; what failed, and why."""
    drawn: list[Path] = []
    troubles: list[str] = []
    figures = resolved.config.figures
    for number, figure in enumerate(figures):
        earlier = sum(other.kind == figure.kind for other in figures[:number])
        stem = figure.kind if not earlier else f"{figure.kind}-{earlier + 1}"
        if part_of(figure.kind) in but:
            continue
        try:
            drawn += draw(folder, figure.kind, figure.hyperparameters, folder / results.FIGURES / stem, formats)
        except UserError as error:
            troubles.append(f"{stem} ({resolved.position('figures', number)}): {error}")
    return drawn, troubles


def draw(folder: Path, kind: str, options: Mapping[str, Any], stem: Path, formats: Sequence[str]) -> list[Path]:
    """Draw one figure from a results folder into files named `stem` and a format.

    The verdicts of a check of the same kind stand under it.

    Raises:
        gdlab.errors.UserError: the folder lacks what the figure is of, or the figure lacks what it is asked for.
    """

    figure = register.figures[kind].make(results.open_named(folder, part_of(kind)), **options)
    under(figure, [claim for claim in results.all_claims(folder) if claim["check"] == kind])
    stem.parent.mkdir(exist_ok=True)
    return save(figure, stem, formats=tuple(formats))


def export(folder: Path, ending: str) -> list[Path]:
    """Write the landscape of a results folder for other programs, as "vtk", "html", "gif" or "mp4": the files written.

    Raises:
        gdlab.errors.UserError: there is no landscape, or what writes such a file is not installed.
    """
    from gdlab.figures.export import to_movie, to_page, to_vtk

    data, path = results.open_part(folder, results.LANDSCAPE), folder / results.FIGURES / f"landscape.{ending}"
    if ending == "vtk":
        return to_vtk(data, path)
    return [to_page(data, path) if ending == "html" else to_movie(data, path)]


def part_of(kind: str) -> str:
    """What a figure is drawn from: "sweep", or a part of the results beside it."""
    return str(register.figures[kind].info.get("of", results.SWEEP))
