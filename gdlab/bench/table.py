"""Tables of measurements as text and Markdown, and their data as JSON."""

import json
import math
from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from gdlab.bench.machine import Machine, described


class Table(NamedTuple):
    """A table of strings; the first column holds names."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: tuple[str, ...] = ()


class Measured(NamedTuple):
    """The results of a benchmark: as a table, and as plain data for JSON."""

    table: Table
    record: dict[str, Any]


def as_markdown(table: Table) -> str:
    """A Markdown table with the title above and the notes below."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    ruler = line(["---", *("---:" for _ in table.header[1:])])
    rows = [line(row) for row in table.rows]
    return "\n".join((f"**{table.title}**", "", line(table.header), ruler, *rows, *_paragraphs(table.notes), ""))


def as_json(what: str, there: Machine, day: date, records: Sequence[dict[str, Any]]) -> str:
    """All measurements with the date and the machine; null for NaN and infinite values."""
    document = {"bench": what, "date": day.isoformat(), "machine": there._asdict(), "measured": list(records)}
    return json.dumps(_plain(document), indent=2, allow_nan=False) + "\n"


def occasion(what: str, there: Machine, day: date) -> str:
    """The line above the tables: the command, the date and the machine."""
    return f"`gdlab bench {what}`, {day.day} {day:%B %Y}: {described(there)}."


def figures(value: float) -> str:
    """A number with three significant digits and a suffix k, M or G; a dash for NaN and infinite values."""
    if not math.isfinite(value):
        return "-"
    for size, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= 0.9995 * size:
            return _three(value / size) + letter
    return _three(value)


def _three(value: float) -> str:
    if value == 0:
        return "0"
    # Rounded first: 9.996 has one decimal less than 9.994.
    digits = 2 - math.floor(math.log10(abs(float(f"{value:.2e}"))))
    return f"{value:.{max(0, digits)}f}" if digits <= 6 else f"{value:.1e}"


def _paragraphs(notes: Sequence[str]) -> list[str]:
    return [line for note in notes for line in ("", note)]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
