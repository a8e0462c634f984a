"""Which runs of a sweep a landscape shows, and of which problem it is."""

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
    """The runs that are shown, whether each diverged, the problem's hyperparameters, and which runs they are."""

    shown: list[Shown]
    diverged: list[bool]
    problem: dict[str, Any]
    words: str


def best_runs(resolved: Resolved, data: "xarray.Dataset") -> Selection:
    """The best run of each rule; of its seeds, the first.

    On a problem of two parameters a rule all of whose runs diverged shows that which lasted longest. Elsewhere it is
    left out, since its path would decide the plane.
    """
    top = _best_points(data, flat=two_parameters(resolved.problem(**_first(resolved))))
    rows = [top.sel(rule=label) for label in top["rule"].values]
    words = f"Paths: one run of each rule (seed {_seed(data)}), its best; {data['final_loss'].size:,} runs in all"
    # All paths lie on one surface: where the problem itself is swept, it is that of the best rule.
    leader = int(top["final_loss"].fillna(np.inf).values.argmin()) if rows else 0
    return _selection(resolved, data, rows, [not bool(row["found"]) for row in rows], leader, words)


def all_runs(resolved: Resolved, data: "xarray.Dataset") -> Selection:
    """Every run of the first seed, each once: an axis that a rule does not have makes no more of it.

    Where the problem itself is swept, those of its first values.
    """
    first = {data[name].dims[0]: 0 for name in data.coords if name == SEED or str(name).startswith(PROBLEM)}
    others = [dim for dim in data["final_loss"].dims if dim not in first]
    points = data[["final_loss", "diverged_at"]].isel(first).stack(point=others)
    rows = [points.isel(point=number) for number in range(points.sizes["point"])]
    words = f"Paths: every run of seed {_seed(data)}; {data['final_loss'].size:,} runs in all"
    return _selection(resolved, data, rows, [int(row["diverged_at"]) >= 0 for row in rows], 0, words)


def one_run(resolved: Resolved, data: "xarray.Dataset", wanted: Mapping[str, Any]) -> Selection:
    """The run at some values of the axes, of numbers the nearest; where an axis is not named, at its first.

    Raises:
        SelectionError: no such axis, or no such value of one that is not of numbers.
    """
    found = data[["final_loss", "diverged_at"]]
    for name, value in wanted.items():
        if name not in found.coords:
            raise SelectionError(f"there is no axis {name!r}; there are {', '.join(map(str, found.coords))}")
        column, (dim,) = found[name].values, found[name].dims or ("",)
        if np.issubdtype(column.dtype, np.number):
            place = int(np.nanargmin(np.abs(column - _number(name, value))))
        elif str(value) in [str(entry) for entry in column]:
            place = [str(entry) for entry in column].index(str(value))
        else:
            raise SelectionError(f"{name} is never {value!r}; it is {', '.join(map(str, column))}")
        found = found.isel({dim: [place]})
    row = found.isel(dict.fromkeys(found["final_loss"].dims, 0))
    words = f"Path: one run of {data['final_loss'].size:,}"
    return _selection(resolved, data, [row], [int(row["diverged_at"]) >= 0], 0, words)


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except ValueError:
        raise SelectionError(f"{name} is a number, not {value!r}") from None


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
    """The points whose runs are shown, as `best` gives them."""
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
    """The values of the axes at one point, without those that are absent there; those of axes in `whole` as integers.

    A coordinate holds integers as floats if the axis is absent at some points, since it then also holds NaN.
    """
    values = {name: one[name].item() for name in axes}
    absent = [n for n, v in values.items() if v == str(ABSENT) or (isinstance(v, float) and np.isnan(v))]
    return {n: int(v) if n in whole and isinstance(v, float) else v for n, v in values.items() if n not in absent}


def _first(resolved: Resolved) -> dict[str, Any]:
    """The values at the first point of the axes that are the problem's."""
    firsts = {name: value for block in space(resolved.over).blocks for name, value in block.row(0).items()}
    return {n.removeprefix(PROBLEM): value for n, value in firsts.items() if n.startswith(PROBLEM)}
