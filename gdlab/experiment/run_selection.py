"""Choose the runs of a sweep that a landscape shows, and the problem whose loss it shows."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gdlab.analysis.selection import SEED, best
from gdlab.config import Resolved
from gdlab.engine.axis_values import ABSENT
from gdlab.engine.space import integer_axes, space
from gdlab.errors import SelectionError
from gdlab.landscape.around_runs import two_parameters
from gdlab.landscape.trajectories import Shown
from gdlab.training.sweep import PROBLEM, rule_axes

if TYPE_CHECKING:
    import xarray


class Selection(NamedTuple):
    """The runs that are shown, whether each diverged, the problem's hyperparameters, and a caption."""

    shown: list[Shown]
    diverged: list[bool]
    problem: dict[str, Any]
    words: str


def best_runs(resolved: Resolved, data: "xarray.Dataset") -> Selection:
    """The best run of each rule, with the first seed.

    If all runs of a rule diverged and the problem has two parameters, the run with the most steps is shown. On other
    problems the rule is left out, since its path would determine the plane.
    """
    top = _best_points(data, flat=two_parameters(resolved.problem(**_first(resolved))))
    rows = [top.sel(rule=label) for label in top["rule"].values]
    words = f"Paths: one run of each rule (seed {_seed(data)}), its best; {data['final_loss'].size:,} runs in all"
    # All paths are drawn on one surface. If the problem is swept, it is the surface of the best rule's problem.
    leader = int(top["final_loss"].fillna(np.inf).values.argmin()) if rows else 0
    return _selection(resolved, data, rows, [not bool(row["found"]) for row in rows], leader, words)


def all_runs(resolved: Resolved, data: "xarray.Dataset") -> Selection:
    """Every run of the first seed. A run appears once, even if the sweep has axes that its rule lacks.

    If the problem is swept, only the runs at the first values of its axes.
    """
    first = {data[name].dims[0]: 0 for name in data.coords if name == SEED or str(name).startswith(PROBLEM)}
    others = [dim for dim in data["final_loss"].dims if dim not in first]
    points = data[["final_loss", "diverged_at"]].isel(first).stack(point=others)
    rows = [points.isel(point=number) for number in range(points.sizes["point"])]
    words = f"Paths: every run of seed {_seed(data)}; {data['final_loss'].size:,} runs in all"
    return _selection(resolved, data, rows, [int(row["diverged_at"]) >= 0 for row in rows], 0, words)


def one_run(resolved: Resolved, data: "xarray.Dataset", wanted: Mapping[str, Any]) -> Selection:
    """The run at the given values of the axes, and at the first value of each other axis.

    A number matches a value of the axis within 0.1%, since tables print four digits.

    Raises:
        SelectionError: there is no such axis, or it has no such value.
    """
    found = data[["final_loss", "diverged_at"]]
    for name, value in wanted.items():
        if name not in found.coords:
            raise SelectionError(f"there is no axis {name!r}; there are {', '.join(map(str, found.coords))}")
        column, (dim,) = found[name].values, found[name].dims or ("",)
        if np.issubdtype(column.dtype, np.number):
            place = _matching(name, column, _number(name, value))
        elif str(value) in [str(entry) for entry in column]:
            place = [str(entry) for entry in column].index(str(value))
        else:
            raise SelectionError(f"{name} has no value {value!r}; it has {', '.join(map(str, column))}")
        found = found.isel({dim: [place]})
    row = found.isel(dict.fromkeys(found["final_loss"].dims, 0))
    words = f"Path: one run of {data['final_loss'].size:,}"
    return _selection(resolved, data, [row], [int(row["diverged_at"]) >= 0], 0, words)


def nearest_values(data: "xarray.Dataset", wanted: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Replace each number that lies within the range of its axis by the nearest value of the axis.

    Returns:
        The values, and a notice for each replacement that differs by more than 0.1%.
    """
    values, notices = dict(wanted), []
    for name, value in wanted.items():
        if name not in data.coords or not np.issubdtype(data[name].dtype, np.number):
            continue
        number, column = _number(name, value), data[name].values[~np.isnan(data[name].values)]
        if column.size and column.min() <= number <= column.max():
            values[name] = column.flat[np.abs(column - number).argmin()].item()
            if not np.isclose(values[name], number, rtol=1e-3, atol=0.0):
                notices.append(f"{name} has no value {number:g} in this sweep; the nearest value is {values[name]:.4g}")
    return values, notices


def _matching(name: str, column: np.ndarray, value: float) -> int:
    """The position of a number on an axis; NaN marks points without the axis."""
    distances = np.abs(column - value)
    place = int(np.argmin(np.where(np.isnan(distances), np.inf, distances)))
    if np.isclose(column.flat[place], value, rtol=1e-3, atol=0.0):
        return place
    nearest = f"; the nearest value is {column.flat[place]:.4g}" if np.isfinite(distances.flat[place]) else ""
    raise SelectionError(f"{name} has no value {value:g} in this sweep{nearest}")


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except ValueError:
        raise SelectionError(f"{name} must be a number, not {value!r}") from None


def _selection(
    resolved: Resolved,
    data: "xarray.Dataset",
    rows: "Sequence[xarray.Dataset]",
    diverged: Sequence[bool],
    leader: int,
    words: str,
) -> Selection:
    points = space(resolved.over)
    axes, whole = [name for name in points.names if name != SEED], integer_axes(points)
    factories = resolved.rules
    shown: dict[Any, tuple[Shown, bool]] = {}
    for row, lost in zip(rows, diverged, strict=True):
        label = str(row["rule"].item())
        given = _given(row, axes, whole)
        own = {x: given[name] for x, name in rule_axes(factories, label, list(given)).items()}
        sizes = {name: value for name, value in given.items() if name == "batch_size"}
        seed = int(row[SEED]) if SEED in row.coords and row[SEED].ndim == 0 else _seed(data)
        one = Shown(label, own | sizes | {SEED: seed})
        shown.setdefault((label, *sorted(one.values.items())), (one, lost))
    problem = _given(rows[leader], axes, whole) if rows else {}
    return Selection(
        [one for one, _ in shown.values()],
        [lost for _, lost in shown.values()],
        {n.removeprefix(PROBLEM): value for n, value in problem.items() if n.startswith(PROBLEM)},
        words,
    )


def _seed(data: "xarray.Dataset") -> int:
    return int(data[SEED].values.flat[0]) if SEED in data.coords else 0


def _best_points(data: "xarray.Dataset", flat: bool) -> "xarray.Dataset":
    """The best point of each rule, as a Dataset with the variables of `best`.

    With `flat`, a rule whose runs all diverged has the point with the most steps; without, the rule is left out.
    """
    top = best(data)
    if not flat:
        return top.isel(rule=np.flatnonzero(top["found"].values))
    lasted = data["steps_taken"].median(SEED) if SEED in data.dims else data["steps_taken"]
    places = lasted.argmax([dim for dim in lasted.dims if dim != "rule"])
    assert isinstance(places, dict)
    for name, axis in data.coords.items():
        if name in top.coords and set(axis.dims) & set(places):
            longest = axis.isel({dim: place for dim, place in places.items() if dim in axis.dims})
            top = top.assign_coords({name: ("rule", np.where(top["found"], top[name].values, longest.values))})
    return top


def _given(one: "xarray.Dataset", axes: Sequence[str], whole: Collection[str]) -> dict[str, Any]:
    """The values of the axes at one point, without axes that the point lacks; axes in `whole` as integers.

    If some points lack an axis, its coordinate is NaN there, so its integers are stored as floats.
    """
    values = {name: one[name].item() for name in axes}
    absent = [n for n, v in values.items() if v == str(ABSENT) or (isinstance(v, float) and np.isnan(v))]
    return {n: int(v) if n in whole and isinstance(v, float) else v for n, v in values.items() if n not in absent}


def _first(resolved: Resolved) -> dict[str, Any]:
    """The values of the problem's axes at the first point."""
    firsts = {name: value for block in space(resolved.over).blocks for name, value in block.row(0).items()}
    return {n.removeprefix(PROBLEM): value for n, value in firsts.items() if n.startswith(PROBLEM)}
