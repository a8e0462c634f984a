"""Axes of a sweep in a config: lists, spacings, counts of seeds, zipped rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdlab.config.errors import shown
from gdlab.config.node import Path, Report
from gdlab.config.spacing import MOST, read_drawn, read_spaced
from gdlab.config.value_types import INTEGER, is_valid


@dataclass(frozen=True)
class Axis:
    """One axis, or several zipped axes.

    Attributes:
        path: the path of its field in the config.
        names: the axes' names; one, unless zipped.
        columns: the values of each name, as written.
        listed: whether the values are written as a list, so that each value has a position in the file.
        seeds: the number of seeds if it is written as a count (`seed: 8`), else None.
    """

    path: Path
    names: tuple[str, ...]
    columns: tuple[Sequence[Any] | np.ndarray, ...]
    listed: bool
    seeds: int | None = None

    @property
    def dim(self) -> str:
        """The name of its dim in the results."""
        return "_".join(self.names)

    @property
    def size(self) -> int:
        """The number of values, the same for each of the zipped names."""
        return len(self.columns[0])

    def place(self, row: int, column: int) -> Path:
        """The path of the value at a row and column; the path of the axis unless its values are listed."""
        if not self.listed:
            return self.path
        return (*self.path, row) if len(self.names) == 1 else (*self.path, row, column)


def axis_names(key: str) -> tuple[str, ...]:
    """The names in a key: one, or several with commas between them."""
    return tuple(name.strip() for name in key.split(","))


def read_axis(path: Path, written: Any, report: Report) -> Axis | None:
    """Read the axis at a path, whose last part is its key; None, and an error in the report, if it is not valid."""
    names = axis_names(str(path[-1]))
    if not all(names) or len(set(names)) < len(names):
        report.add(path, "zipped axes must be different names separated by commas", key=True)
    elif len(names) > 1:
        return _zipped(path, names, written, report)
    elif names == ("seed",):
        return _seeds(path, written, report)
    elif isinstance(written, list):
        if written:
            return Axis(path, names, (written,), listed=True)
        report.add(path, "an axis needs at least one value")
    elif isinstance(written, dict):
        values = read_spaced(path, written, report)
        return None if values is None else Axis(path, names, (values,), listed=False)
    else:
        hint = "or {log: [lo, hi, n]}; linear, random or sobol may be used instead of log"
        report.add(path, f"must be a list of values, not {shown(written)}", hint=hint)
    return None


def _zipped(path: Path, names: tuple[str, ...], written: Any, report: Report) -> Axis | None:
    if isinstance(written, dict):
        columns = read_drawn(path, names, written, report)
        return None if columns is None else Axis(path, names, columns, listed=False)
    if not isinstance(written, list) or not written:
        report.add(path, f"zipped axes need a list of rows, each [{', '.join(names)}]")
        return None
    wrong = [row for row, values in enumerate(written) if not isinstance(values, list) or len(values) != len(names)]
    for row in wrong:
        report.add((*path, row), f"must be [{', '.join(names)}], {len(names)} values, not {shown(written[row])}")
    return None if wrong else Axis(path, names, tuple(zip(*written, strict=True)), listed=True)


def _seeds(path: Path, written: Any, report: Report) -> Axis | None:
    if is_valid(written, (INTEGER,)):
        if 1 <= written <= MOST:
            return Axis(path, ("seed",), (range(written),), listed=False, seeds=written)
        report.add(path, f"must be a count of seeds from 1 to {MOST}, not {written}")
    elif isinstance(written, list) and written:
        return Axis(path, ("seed",), (written,), listed=True)
    else:
        report.add(path, f"must be a count of seeds or a list of them, not {shown(written)}")
    return None
