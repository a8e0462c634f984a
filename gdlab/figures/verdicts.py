"""Verdicts below a figure: a line for each claim."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gdlab.figures.style import COLOURS, GREY, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A sign in addition to the colour, for colour-blind readers.
_SIGNS = {
    "held": ("✓", COLOURS[2]),
    "failed": ("✗", COLOURS[1]),
    "uncertain": ("?", COLOURS[5]),
    "unchecked": ("–", GREY),
}
# The font size in points; the line height in inches; the indent in inches; letters per inch.
_SIZE, _LINE, _INDENT, _LETTERS = 6.5, 0.125, 0.72, 20
_CAPTION = 0.11  # height of a line of the caption, in inches


def sentence(verdict: Mapping[str, Any]) -> str:
    """A claim and its measured value, from a record in `claims.json`."""
    if verdict["status"] == "unchecked":
        return f"{verdict['name']}: {verdict['reason']}"
    measured = "no number" if verdict["value"] is None else f"{verdict['value']:.4g}"
    low, high = verdict["interval"]
    if None not in (low, high) and low != high:
        measured += f" ({low:.4g} to {high:.4g})"
    runs = len(verdict["measured"])
    counted = f", {runs} runs" if runs > 1 else ""
    reason = f"; {verdict['reason']}" if verdict["reason"] else ""
    return f"{verdict['name']}: {measured}{counted}; expected {verdict['expected_words']}{reason}"


def under(figure: "Figure", verdicts: Sequence[Mapping[str, Any]]) -> None:
    """Extend a figure at the bottom and write its verdicts there."""
    if not verdicts:
        return
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    width, height = figure.get_size_inches()
    letters = int((width - _INDENT - 0.05) * _LETTERS)
    lines = [(verdict["status"], textwrap.wrap(sentence(verdict), letters)) for verdict in verdicts]
    room = _LINE * sum(len(wrapped) for _, wrapped in lines) + 0.08
    whole = height + room
    figure.set_size_inches(width, whole)
    layout = figure.get_layout_engine()
    if isinstance(layout, ConstrainedLayoutEngine):
        foot = room + _caption_above(figure, room / whole)
        layout.set(rect=(0, foot / whole, 1, 1 - foot / whole))
    place = room - 0.03
    with style():
        for status, wrapped in lines:
            sign, colour = _SIGNS[status]
            look: dict[str, Any] = {"fontsize": _SIZE, "va": "top", "ha": "left"}
            figure.text(0.01, place / whole, f"{sign} {status}", color=colour, fontweight="bold", **look)
            for line in wrapped:
                figure.text(_INDENT / width, place / whole, line, color=GREY, **look)
                place -= _LINE


def _caption_above(figure: "Figure", place: float) -> float:
    """Move the bottom of the caption (`gdlab.figures.wording.caption`) to `place`; return its height in inches.

    Without this, the layout engine places the caption at the bottom of the figure, over the verdicts.
    """
    text = figure._supxlabel  # type: ignore[attr-defined]
    if text is None:
        return 0.0
    text._autopos = False
    text.set_y(place)
    return _CAPTION * (text.get_text().count("\n") + 1) + 0.08
