"""Axes whose values are spaced or drawn between two ends, one axis or several together."""

import math
from typing import Any

import numpy as np

from gdlab.config.errors import shown
from gdlab.config.merge import DRAWN, SPECS
from gdlab.config.node import Path, Report
from gdlab.config.value_types import INTEGER, REAL, is_valid
from gdlab.engine import axes
from gdlab.errors import did_you_mean

MOST = 10_000_000  # the greatest number of values on one axis


def read_spaced(path: Path, written: dict[str, Any], report: Report) -> np.ndarray | None:
    """The values of `{log: [lo, hi, n]}` and the like; None, and errors in the report, if it is not valid."""
    form = _form(path, written, SPECS, ("scale", "seed"), report)
    if form is None:
        return None
    scale, seed = _options(path, written, report)
    place, ends = (*path, form), written[form]
    if not isinstance(ends, list) or len(ends) != 3:
        report.add(place, f"must be [lo, hi, n], not {shown(ends)}")
        return None
    lo, hi, n = ends
    sound = _ends(place, lo, hi, form == "log" or (form in DRAWN and scale == "log"), report)
    if _count((*place, 2), n, report) and sound and lo == hi and n > 1:
        report.add((*place, 1), "must differ from the other end")
    if report.faulty(*path):
        return None
    if form in DRAWN:
        return (axes.random if form == "random" else axes.sobol)(lo, hi, n, scale=scale, seed=seed)
    return axes.log(lo, hi, n) if form == "log" else axes.linear(lo, hi, n)


def read_drawn(
    path: Path, names: tuple[str, ...], written: dict[str, Any], report: Report
) -> tuple[np.ndarray, ...] | None:
    """The values of each name in `{sobol: {NAME: [lo, hi], ...}, n: 64}`; None, and errors, if it is not valid."""
    form = _form(path, written, DRAWN, ("n", "scale", "seed"), report)
    if form is None:
        return None
    scale, seed = _options(path, written, report)
    box, place = written[form], (*path, form)
    if "n" in written:
        _count((*path, "n"), written["n"], report)
    else:
        report.add(path, "n, the number of rows, is missing")
    if not isinstance(box, dict):
        report.add(place, f"must give each axis its ends, {{{names[0]}: [lo, hi], ...}}, not {shown(box)}")
        return None
    for name in [name for name in box if name not in names]:
        hint = did_you_mean(name, [known for known in names if known not in box])
        report.add((*place, name), f"is not one of the axes {', '.join(names)}", hint=hint, key=True)
    lacking = [name for name in names if name not in box]
    if lacking and not report.faulty(*place):
        report.add(place, f"the ends of {', '.join(lacking)} are missing")
    for name, ends in box.items():
        here = (*place, name)
        if not isinstance(ends, list) or len(ends) not in (2, 3):
            report.add(here, f"must be [lo, hi] or [lo, hi, scale], not {shown(ends)}")
        elif len(ends) == 2 or _scale((*here, 2), ends[2], report):
            _ends(here, ends[0], ends[1], (*ends, scale)[2] == "log", report)
    if report.faulty(*path):
        return None
    ((_, rows),) = (axes.random if form == "random" else axes.sobol)(
        {name: box[name] for name in names}, written["n"], scale=scale, seed=seed
    ).items()
    return tuple(np.array(rows).T)


def _form(
    path: Path, written: dict[str, Any], forms: tuple[str, ...], options: tuple[str, ...], report: Report
) -> str | None:
    """Which of the forms is given; None, and an error in the report, if none is."""
    form = next((name for name in written if name in forms), None)
    known = options if form in DRAWN else ()
    strange = [name for name in written if name != form and name not in known]
    for name in strange:
        if name in forms:
            report.add((*path, name), f"the axis already has the spacing {form}", hint="drop one", key=True)
        else:
            hint = did_you_mean(name, (*forms, *known))
            report.add((*path, name), f"an axis has no option {name} here", hint=hint, key=True)
    if form is None and not strange:
        report.add(path, f"an axis needs one of {', '.join(forms[:-1])} and {forms[-1]}")
    return form


def _options(path: Path, written: dict[str, Any], report: Report) -> tuple[Any, Any]:
    scale, seed = written.get("scale", "log"), written.get("seed", 0)
    _scale((*path, "scale"), scale, report)
    if not is_valid(seed, (INTEGER,)) or seed < 0:
        report.add((*path, "seed"), f"must be a whole number from 0, not {shown(seed)}")
    return scale, seed


def _scale(path: Path, scale: Any, report: Report) -> bool:
    if scale in ("log", "linear"):
        return True
    report.add(path, f"must be log or linear, not {shown(scale)}")
    return False


def _ends(path: Path, lo: Any, hi: Any, logarithmic: bool, report: Report) -> bool:
    """Whether the ends are numbers, above 0 on a logarithmic scale."""
    sound = True
    for index, end in enumerate((lo, hi)):
        if not is_valid(end, (REAL,)) or math.isinf(end):
            message = f"must be a number, not {shown(end)}"
        elif logarithmic and end <= 0:
            message = f"must be above 0 on a logarithmic axis, not {shown(end)}"
        else:
            continue
        report.add((*path, index), message)
        sound = False
    return sound


def _count(path: Path, n: Any, report: Report) -> bool:
    if is_valid(n, (INTEGER,)) and 1 <= n <= MOST:
        return True
    report.add(path, f"must be a count of values from 1 to {MOST}, not {shown(n)}")
    return False
