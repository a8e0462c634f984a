"""The axes of a sweep as a config gives them: lists, spacings, counts of seeds, zipped rows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdlab.config.forms import EITHER, WHOLE, misfits
from gdlab.config.merge import SPECS
from gdlab.config.mistakes import shown
from gdlab.config.node import Path, Report, asked, nearest
from gdlab.engine import axes

MOST = 10_000_000  # values on one axis


@dataclass(frozen=True)
class Axis:
    """One axis, or several that move together.

    Attributes:
        path: where it stands in the config.
        names: the axes' names; one, unless zipped.
        columns: the values of each name; a value as it was written.
        listed: whether the values were written one by one, so that each has a place of its own.
        seeds: the count, for `seed: 8`.
    """

    path: Path
    names: tuple[str, ...]
    columns: tuple[Sequence[Any] | np.ndarray, ...]
    listed: bool
    seeds: int | None = None

    @property
    def dim(self) -> str:
        """Its dimension in the results."""
        return "_".join(self.names)

    def place(self, row: int, column: int) -> Path:
        """Where a value stands."""
        if not self.listed:
            return self.path
        return (*self.path, row) if len(self.names) == 1 else (*self.path, row, column)


def read_axis(key: str, written: Any, report: Report) -> Axis | None:
    """Read `key: written` of a sweep; None, and a mistake, where it is no axis."""
    path: Path = ("sweep", key)
    names = tuple(name.strip() for name in key.split(","))
    if not all(names) or len(set(names)) < len(names):
        report.add(path, "zipped axes are different names with commas between them", key=True)
    elif len(names) > 1:
        return _zipped(path, names, written, report)
    elif names == ("seed",):
        return _seeds(path, written, report)
    elif isinstance(written, list):
        if written:
            return Axis(path, names, (written,), listed=True)
        report.add(path, "an axis needs at least one value")
    elif isinstance(written, dict):
        values = _spaced(path, written, report)
        return None if values is None else Axis(path, names, (values,), listed=False)
    else:
        hint = "{log: [lo, hi, n]}, {linear: [lo, hi, n]} and {random: [lo, hi, n]} also serve"
        report.add(path, f"must be a list of values, not {shown(written)}", hint=hint)
    return None


def _zipped(path: Path, names: tuple[str, ...], written: Any, report: Report) -> Axis | None:
    if not isinstance(written, list) or not written:
        report.add(path, f"zipped axes need a list of rows, each [{', '.join(names)}]")
        return None
    wrong = [row for row, values in enumerate(written) if not isinstance(values, list) or len(values) != len(names)]
    for row in wrong:
        report.add((*path, row), f"must be [{', '.join(names)}], {len(names)} values, not {shown(written[row])}")
    return None if wrong else Axis(path, names, tuple(zip(*written, strict=True)), listed=True)


def _seeds(path: Path, written: Any, report: Report) -> Axis | None:
    if not misfits(written, (WHOLE,)):
        if 1 <= written <= MOST:
            return Axis(path, ("seed",), (range(written),), listed=False, seeds=written)
        report.add(path, f"must be a count of seeds from 1 to {MOST}, not {written}")
    elif isinstance(written, list) and written:
        return Axis(path, ("seed",), (written,), listed=True)
    else:
        report.add(path, f"must be a count of seeds or a list of them, not {shown(written)}")
    return None


def _spaced(path: Path, written: dict[str, Any], report: Report) -> np.ndarray | None:
    form = next((name for name in SPECS if name in written), None)
    options = ("scale", "seed") if form == "random" else ()
    strange = [name for name in written if name != form and name not in options]
    for name in strange:
        if name in SPECS:
            report.add((*path, name), f"{form} says already how the axis is spaced", hint="drop one", key=True)
        else:
            hint = asked(nearest(name, (*SPECS, *options)))
            report.add((*path, name), f"an axis has no {name} here", hint=hint, key=True)
    if form is None:
        if not strange:
            report.add(path, "an axis needs one of log, linear and random")
        return None
    scale, seed = written.get("scale", "log"), written.get("seed", 0)
    if scale not in ("log", "linear"):
        report.add((*path, "scale"), f"must be log or linear, not {shown(scale)}")
    if misfits(seed, (WHOLE,)) or seed < 0:
        report.add((*path, "seed"), f"must be a whole number from 0, not {shown(seed)}")
    logarithmic = form == "log" or (form == "random" and scale == "log")
    if not _ends((*path, form), written[form], logarithmic, report) or report.faulty(*path):
        return None
    lo, hi, n = written[form]
    if form == "random":
        return axes.random(lo, hi, n, scale=scale, seed=seed)
    return axes.log(lo, hi, n) if form == "log" else axes.linear(lo, hi, n)


def _ends(path: Path, written: Any, logarithmic: bool, report: Report) -> bool:
    if not isinstance(written, list) or len(written) != 3:
        report.add(path, f"must be [lo, hi, n], not {shown(written)}")
        return False
    wrong = {}
    for index, end in enumerate(written[:2]):
        if misfits(end, (EITHER,)) or math.isinf(end):
            wrong[index] = f"must be a number, not {shown(end)}"
        elif logarithmic and end <= 0:
            wrong[index] = f"must be above 0 on a logarithmic axis, not {shown(end)}"
    if misfits(written[2], (WHOLE,)) or not 1 <= written[2] <= MOST:
        wrong[2] = f"must be how many values there are, from 1 to {MOST}, not {shown(written[2])}"
    elif not wrong and written[0] == written[1] and written[2] > 1:
        wrong[1] = "must differ from the other end"
    for index, message in wrong.items():
        report.add((*path, index), message)
    return not wrong
