"""Text of figures: numbers, counts of runs, titles and captions."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from gdlab.analysis.selection import diverged, missing
from gdlab.figures.style import GREY, Width, inches

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

_PLURALS = {
    "rule": "rules",
    "lr": "rates",
    "lr.peak": "rates",
    "seed": "seeds",
    "run": "points",
    "batch_size": "batch sizes",
}


def number(value: Any, digits: int = 2) -> str:
    """A number with `digits` digits in short form: 3.2e-3, 0.032, 0.5, 0.999, 10, 1e5; other values as text."""
    try:
        value = float(value)
    except (TypeError, ValueError):
        return str(value)
    if not math.isfinite(value):
        return str(value)
    if 0.9 <= value < 1:  # a decay factor: `digits` counts the digits of 1 - value
        return f"{value:.{math.ceil(-math.log10(1 - value)) + digits - 1}f}".rstrip("0")
    if value == 0 or 0.01 <= abs(value) < 1000:
        plain = f"{value:.{digits}g}"
        return plain if "e" not in plain else f"{value:.0f}"
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(exponent)}"


def numbers(values: Sequence[Any]) -> list[str]:
    """Numbers with enough digits to be distinct, at least two; other values as text."""
    for digits in range(2, 9):
        words = [number(value, digits) for value in values]
        if len(set(words)) == len(words):
            break
    return words


def counts(data: "xarray.Dataset", metric: str) -> str:
    """The number of runs that a figure shows: "480 runs: 5 rules × 24 rates × 4 seeds; 61 diverged".

    Missing runs are not counted: "470 runs: 5 rules × 24 rates × 4 seeds, 10 missing; 61 diverged".
    """
    absent, lost = missing(data, metric), int(diverged(data, metric).sum())
    gone = int(absent.sum())
    runs = absent.size - gone
    factors = [f"{size} {_PLURALS.get(str(dim), dim)}" for dim, size in absent.sizes.items() if size > 1]
    product = f": {' × '.join(factors)}" if len(factors) > 1 else ""
    without = f"{', ' if product else ': '}{gone:,} missing" if gone else ""
    return f"{runs:,} run{'s' * (runs != 1)}{product}{without}; {f'{lost:,}' if lost else 'none'} diverged"


def title(figure: "Figure", data: "xarray.Dataset") -> None:
    """Add the name of the experiment and its problem as the title, if they are known."""
    words = [str(data.attrs[key]) for key in ("name", "problem") if data.attrs.get(key)]
    if words:
        figure.suptitle(" · ".join(words), x=0.01, ha="left", fontsize=9, fontweight="bold")


def without_notes(figure: "Figure") -> None:
    """Remove the title and the caption of a figure, for a paper with a separate caption."""
    figure.suptitle("")
    figure.supxlabel("")


def caption(figure: "Figure", sentences: Iterable[str], width: Width) -> None:
    """Add the caption at the bottom of a figure, wrapped to its width."""
    text = " ".join(sentence.rstrip(".") + "." for sentence in sentences if sentence)
    wrapped = textwrap.fill(text, int(inches(width) * 20), break_long_words=False)
    figure.supxlabel(wrapped, x=0.01, ha="left", fontsize=6.5, color=GREY)


def spelled(names: Sequence[Any]) -> str:
    """Names as text: "a, b and c"."""
    words = [str(name) for name in names]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
