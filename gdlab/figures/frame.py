"""The layout of a figure of panels: the grid, the legend, the title, the labels and the caption."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from gdlab.figures.style import Width, inches, new_figure
from gdlab.figures.wording import caption, title

if TYPE_CHECKING:
    import xarray
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# In inches: the height of a legend line, the width of a letter, the width of the line sample, and the maximum width of
# a legend beside the panels.
LINE, LETTER, HANDLE, BESIDE = 0.165, 0.06, 0.5, 2.5


class Frame(NamedTuple):
    """A figure, its panels, the number of panels side by side, and the axes that hold a legend below them."""

    figure: "Figure"
    panels: "list[Axes]"
    columns: int
    below: "Axes | None"


def frame(count: int, width: Width, handles: "Sequence[Artist]", panel: float = 0, most: int = 3) -> Frame:
    """A figure of `count` empty panels with shared axes, and the legend.

    At most `most` panels are side by side in a double column, and one in a single column. `panel` is the height of a
    panel in inches; 0 is the default height.
    """
    rows = math.ceil(count / (most if width == "double" else 1))
    columns = math.ceil(count / rows)
    longest = HANDLE + LETTER * max((len(str(handle.get_label())) for handle in handles), default=0)
    beside = width == "double" and longest <= BESIDE
    abreast = 1 if beside else max(1, int(inches(width) / longest))
    lines = LINE * math.ceil(len(handles) / abreast)
    panel = panel or (2.45 if rows == 1 else 1.9)
    height = 0.75 + panel * rows
    height = max(height, lines + 0.6) if beside else height + lines
    figure = new_figure(width, height)
    ratios = [panel] * rows + ([] if beside or not handles else [lines])
    grid = figure.add_gridspec(len(ratios), columns, height_ratios=ratios)
    panels: list[Axes] = []
    for place in range(count):
        first = panels[0] if panels else None
        axes = figure.add_subplot(grid[divmod(place, columns)], sharex=first, sharey=first)
        axes.tick_params(labelbottom=place + columns >= count, labelleft=place % columns == 0)
        panels.append(axes)
    below = None
    if handles and beside:
        figure.legend(handles=list(handles), loc="outside right upper")
    elif handles:
        below = figure.add_subplot(grid[rows, :])
        below.axis("off")
        below.legend(handles=list(handles), loc="upper left", ncols=abreast, borderaxespad=0)
    return Frame(figure, panels, columns, below)


def surround(
    made: Frame, data: "xarray.Dataset", width: Width, *, xlabel: str, ylabel: str, sentences: Iterable[str]
) -> None:
    """Add title, axis labels and caption."""
    title(made.figure, data)
    caption(made.figure, sentences, width)
    for place, axes in enumerate(made.panels):
        if place + made.columns >= len(made.panels):
            axes.set_xlabel(xlabel)
        if place % made.columns == 0:
            axes.set_ylabel(ylabel)
