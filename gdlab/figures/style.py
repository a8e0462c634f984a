"""Style of all figures: fonts, widths, and a colour, dash and marker for each rule."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Width = Literal["single", "double"]

# The widths in inches of one and of both columns of a two-column journal.
WIDTHS: dict[str, float] = {"single": 3.4, "double": 7.0}

# The colours of Okabe and Ito (2008), darkened to a contrast of at least 3 with white; a brown replaces their yellow.
COLOURS = ("#0072B2", "#C83E00", "#00956F", "#B84C93", "#1A1A1A", "#AE8D00", "#4598D0", "#5A2A00")
DASHES: tuple[Any, ...] = (
    "-",
    (0, (4, 1.5)),
    (0, (1, 1)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (7, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (2, 1)),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")

GREY = "#555555"
PALE = "#C8C8C8"

_SETTINGS: dict[str, Any] = {
    "figure.constrained_layout.use": True,
    "figure.dpi": 120,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.4,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "hatch.linewidth": 0.6,
    "pdf.fonttype": 42,
    "svg.hashsalt": "gdlab",
}

# Prefixes of settings for backends and windows, which do not affect figures without pyplot.
_NOT_OURS = ("backend", "interactive", "toolbar", "keymap", "webagg", "tk.", "macosx", "date.", "timezone")


class RuleStyle(NamedTuple):
    """The style of a rule.

    The styles of the first 616 rules are distinct. Those of the first 77 rules are distinct even without colour.
    """

    colour: str
    dash: Any
    marker: str


def rule_styles(names: Sequence[str]) -> dict[str, RuleStyle]:
    """A style for each rule, determined by its index in `names`, all values of the coordinate `rule` of the Dataset."""
    return {
        str(name): RuleStyle(COLOURS[i % len(COLOURS)], DASHES[i % len(DASHES)], MARKERS[i % len(MARKERS)])
        for i, name in enumerate(names)
    }


@contextmanager
def style() -> Iterator[None]:
    """A context with the settings of gdlab on top of matplotlib's defaults; on exit, the old ones are restored."""
    import matplotlib

    defaults: dict[Any, Any] = {k: v for k, v in matplotlib.rcParamsDefault.items() if not k.startswith(_NOT_OURS)}
    with matplotlib.rc_context(defaults | _SETTINGS):
        yield


def inches(width: Width) -> float:
    """The width of a figure.

    Raises:
        ValueError: no such width.
    """
    if width not in WIDTHS:
        raise ValueError(f"width must be one of {', '.join(WIDTHS)}, not {width!r}")
    return WIDTHS[width]


def new_figure(width: Width, height: float) -> "Figure":
    """An empty figure of a column's width and a height in inches, without pyplot."""
    from gdlab.figures.lab_figure import LabFigure

    return LabFigure(figsize=(inches(width), height))
