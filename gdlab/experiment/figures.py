"""Draw the figures of a results folder."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from gdlab import register
from gdlab.config import Config, Resolved
from gdlab.config.kinds import NOTES
from gdlab.engine.execute import Stopped
from gdlab.experiment import results
from gdlab.experiment.failures import Failure, recorded
from gdlab.figures import save, without_notes
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
    """Draw the figures of a config from its results. Returns the files.

    Args:
        folder, resolved: the results, and their config.
        formats: "png", "pdf" or "svg".
        failures: a figure that raises an exception is appended to this list.
        without: parts of the results; figures that show one of them are skipped.
        variant: the suffix in the names of the landscapes to draw; the file names also end with it.
        stop: called before each figure; if it returns true, no further figure is drawn.

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
    """Draw one figure from a results folder. Returns the files: `stem` with the suffix of each format.

    The verdicts of the check of the same kind are written below the figure. With the option `notes=False` it has no
    verdicts, no title and no caption. `variant` is the suffix in the name of the landscape to draw.

    Raises:
        gdlab.errors.UserError: the results lack the data of the figure, or an option is wrong.
    """
    part = part_of(kind)
    data = results.open_named(folder, part if part == results.SWEEP else part + variant)
    figure = register.figures[kind].make(data, **{name: value for name, value in options.items() if name != NOTES})
    if options.get(NOTES, True):
        under(figure, [claim for claim in results.all_claims(folder) if claim["check"] == kind])
    else:
        without_notes(figure)
    stem.parent.mkdir(exist_ok=True)
    return save(figure, stem, formats=tuple(formats))


def export(folder: Path, ending: str, variant: str = "") -> list[Path]:
    """Write the landscape of a results folder as "vtk", "html", "gif" or "mp4". Returns the files.

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
    """The part of the results that a figure shows: "sweep", or the name of a landscape."""
    return str(register.figures[kind].info.get("of", results.SWEEP))


def landscape_figures(config: Config) -> list[str]:
    """The figures of a config that show a landscape."""
    return list(dict.fromkeys(f.kind for f in config.figures if part_of(f.kind) in results.LANDSCAPES))
