"""Figure of the time per run against the number of runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gdlab.bench.scaling import STEPS, Size
from gdlab.errors import UserError
from gdlab.figures.saving import save
from gdlab.figures.style import COLOURS, new_figure, style
from gdlab.figures.wording import caption

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "pdf", "svg")


def scaling_figure(sizes: Sequence[Size], where: str) -> "Figure":
    """A single-column figure; `where` describes the machine, for the caption."""
    with style():
        figure = new_figure("single", 2.8)
        axes = figure.add_subplot()
        runs, micros = [size.runs for size in sizes], [1e6 * size.seconds_per_run for size in sizes]
        axes.semilogx(runs, micros, color=COLOURS[0], marker="o", markersize=4)
        axes.set_ylim(0, 1.25 * max(micros))  # from 0, so that a nearly constant time looks constant
        axes.set_xlabel("runs in one sweep")
        axes.set_ylabel("time per run (µs)")
        caption(figure, [f"1-16-1 tanh network, {STEPS} steps of gradient descent", where], "single")
    return figure


def figure_format(path: Path) -> str:
    """The format of a figure, from the suffix of its path.

    Raises:
        UserError: an unknown format.
    """
    form = path.suffix.removeprefix(".").lower()
    if form not in FORMATS:
        raise UserError(f"--figure {path}: the name must end in one of .{', .'.join(FORMATS)}")
    return form


def draw(sizes: Sequence[Size], where: str, path: Path) -> Path:
    """Write the figure to a file, in the format of its suffix."""
    (written,) = save(scaling_figure(sizes, where), path.with_suffix(""), [figure_format(path)])
    return written
