"""A matplotlib Figure that shows itself in a notebook and draws any text. Importing this imports matplotlib."""

import io
from functools import lru_cache
from typing import Any

from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Text


class LabFigure(Figure):
    """A Figure without pyplot, for the figures of `gdlab.figures`.

    Text whose dollar signs are not valid mathtext is drawn as it is, instead of raising an error.
    """

    def draw(self, renderer: Any) -> None:
        """Draw the figure; called by matplotlib for each file and picture."""
        for text in self.findobj(Text):
            if isinstance(text, Text) and "$" in text.get_text():
                text.set_parse_math(_is_mathtext(text.get_text()))
        super().draw(renderer)

    def _repr_png_(self) -> bytes:
        """The picture that a notebook displays."""
        from gdlab.figures.style import style

        buffer = io.BytesIO()
        with style():
            self.savefig(buffer, format="png")
        return buffer.getvalue()


@lru_cache(maxsize=1024)
def _is_mathtext(text: str) -> bool:
    try:
        MathTextParser("path").parse(text)
    except ValueError:
        return False
    return True
