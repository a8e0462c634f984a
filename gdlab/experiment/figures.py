"""Draw the figures of a results folder."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from gdlab import register
from gdlab.config import Config, Resolved
from gdlab.engine.execute import Stopped
from gdlab.experiment import results
from gdlab.experiment.failures import Failure, recorded
from gdlab.figures import save
from gdlab.figures.verdicts import under


def draw_all(
    folder: Path,
    resolved: Resolved,
    formats: Sequence[str],
    failures: list[Failure],
    *,
    without: Collection[str] = (),
    variant: str = "",
    stop: Callable[[], bool] = lambda: False,
) -> list[Path]:
    """Draw the figures of a config from its results: the files written.

    Args:
        folder, resolved: the results, and their config.
        formats: "png", "pdf" or "svg".
        failures: figures that fail are appended to it.
        without: parts of the results whose figures are left out.
        variant: which variant of the landscapes is drawn; the files' names end with it.
        stop: called before each figure; true stops there.

    Raises:
        Stopped: `stop` returned true.
    """
    drawn: list[Path] = []
    figures = resolved.config.figures
    for number, figure in enumerate(figures):
        earlier = sum(other.kind == figure.kind for other in figures[:number])
        stem = (figure.kind if not earlier else f"{figure.kind}-{earlier + 1}") + variant
        if part_of(figure.kind) in without:
            continue
        if stop():
            raise Stopped
        with recorded(f"could not draw {stem} ({resolved.position('figures', number)})", failures):
            path = folder / results.FIGURES / stem
            drawn += draw(folder, figure.kind, figure.hyperparameters, path, formats, variant)
    return drawn


def draw(
    folder: Path, kind: str, options: Mapping[str, Any], stem: Path, formats: Sequence[str], variant: str = ""
) -> list[Path]:
    """Draw one figure from a results folder: the files written, `stem` with the ending of each format.

    Under it are the verdicts of a check of the same kind. `variant`: which variant of a landscape is drawn.

    Raises:
        gdlab.errors.UserError: the results lack what the figure shows, or an option is wrong.
    """
    part = part_of(kind)
    data = results.open_named(folder, part if part == results.SWEEP else part + variant)
    figure = register.figures[kind].make(data, **options)
    under(figure, [claim for claim in results.all_claims(folder) if claim["check"] == kind])
    stem.parent.mkdir(exist_ok=True)
    return save(figure, stem, formats=tuple(formats))


def export(folder: Path, ending: str, variant: str = "") -> list[Path]:
    """Write the landscape of a results folder for other programs, as "vtk", "html", "gif" or "mp4": the files written.

    Raises:
        gdlab.errors.UserError: there is no landscape, or a package that writes such files is not installed.
    """
    from gdlab.figures.export import to_movie, to_page, to_vtk

    data = results.open_part(folder, results.LANDSCAPE + variant)
    path = folder / results.FIGURES / f"landscape{variant}.{ending}"
    if ending == "vtk":
        return to_vtk(data, path)
    return [to_page(data, path) if ending == "html" else to_movie(data, path)]


def part_of(kind: str) -> str:
    """The part of the results that a figure shows: "sweep", or a landscape."""
    return str(register.figures[kind].info.get("of", results.SWEEP))


def landscape_figures(config: Config) -> list[str]:
    """The figures of a config that show a landscape."""
    return list(dict.fromkeys(f.kind for f in config.figures if part_of(f.kind) in results.LANDSCAPES))
