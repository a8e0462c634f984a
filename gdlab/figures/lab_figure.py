"""A matplotlib Figure that notebooks display and that accepts any text. Importing this module imports matplotlib."""

import io
from functools import lru_cache
from typing import Any

from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Text


class LabFigure(Figure):
    """The Figure that `gdlab.figures` uses; it does not need pyplot.

    Text with dollar signs that is not valid mathtext is drawn literally instead of raising an error.
    """

    def draw(self, renderer: Any) -> None:
        """Draw the figure; matplotlib calls this for each file and image."""
        for text in self.findobj(Text):
            if isinstance(text, Text) and "$" in text.get_text():
                text.set_parse_math(_is_mathtext(text.get_text()))
        super().draw(renderer)

    def _repr_png_(self) -> bytes:
        """The PNG image that a notebook displays."""
        from gdlab.figures.style import style

        buffer = io.BytesIO()
        with style():
            self.savefig(buffer, format="png")
        return buffer.getvalue()


@lru_cache(maxsize=1024)
def _is_mathtext(text: str) -> bool:
    """Whether each line with a dollar sign is valid mathtext; matplotlib draws a text line by line."""
    try:
        for line in text.split("\n"):
            if "$" in line:
                MathTextParser("path").parse(line)
    except ValueError:
        return False
    return True
