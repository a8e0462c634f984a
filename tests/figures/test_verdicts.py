"""Verdicts below a figure do not overlap its caption."""

from gdlab.figures.style import new_figure, style
from gdlab.figures.verdicts import under
from gdlab.figures.wording import caption

HELD = {"name": "a", "status": "held", "value": 1.0, "interval": [1.0, 1.0], "measured": [1.0], "reason": ""}


def test_the_caption_is_between_the_axes_and_the_verdicts():
    with style():
        figure = new_figure("single", 2.0)
        axes = figure.add_subplot(xlabel="step")
        caption(figure, ["A sentence that is long enough to be broken over two lines of print"], "single")
    under(figure, [{**HELD, "expected_words": "1"}] * 3)
    figure.draw_without_rendering()
    small_print = figure._supxlabel.get_window_extent()
    assert small_print.y0 >= max(text.get_window_extent().y1 for text in figure.texts if text is not figure._supxlabel)
    assert small_print.y1 <= axes.get_tightbbox().y0
