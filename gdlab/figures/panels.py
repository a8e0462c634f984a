"""Selection of the part of a Dataset that a figure shows, and its division into panels."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gdlab.analysis.selection import RULE, SEED, STEP
from gdlab.errors import SelectionError
from gdlab.figures.wording import numbers, spelled

if TYPE_CHECKING:
    import xarray

MOST = 12
# The axes that are learning rates: the rate of a rule, and the peak rate of a schedule.
RATE_AXES = ("lr", "lr.peak")


class Panel(NamedTuple):
    """One panel: its title, and its data with the dims `rule` and `seed` (of size 1 if the sweep had none)."""

    title: str
    data: "xarray.Dataset"


def rule_names(data: "xarray.Dataset") -> list[str]:
    """The names of the rules in the order of the Dataset; one empty name if it has no rules."""
    return [str(name) for name in np.atleast_1d(data[RULE].values)] if RULE in data.coords else [""]


def dims_of(data: "xarray.Dataset", axes: Sequence[str]) -> list[str]:
    """The dims along which axes vary: zipped axes share a dim; an axis with a single fixed value has none."""
    return list(dict.fromkeys(str(dim) for axis in axes if axis in data.coords for dim in data[axis].dims))


def rate_axis(data: "xarray.Dataset") -> str:
    """The name of the axis of learning rates: `lr`, or `lr.peak` if the peak rate of a schedule is swept."""
    return next((name for name in RATE_AXES if name in data.coords), RATE_AXES[0])


def selected(data: "xarray.Dataset", select: Mapping[str, Any] | None) -> "xarray.Dataset":
    """The slices nearest to the selected values; a list keeps one slice for each value, a single value drops the dim.

    Raises:
        SelectionError: no such axis, or no such value of an axis that is not numeric.
    """
    for axis, wanted in (select or {}).items():
        if axis not in data.coords or data[axis].ndim != 1:
            swept = [name for name, coord in data.coords.items() if coord.ndim == 1 and name != STEP]
            raise SelectionError(f"select: there is no axis {axis!r}; there are {spelled(swept)}")
        values = data[axis].values
        several = isinstance(wanted, list | tuple | np.ndarray)
        places = [_place(axis, values, value) for value in (wanted if several else [wanted])]
        data = data.isel({data[axis].dims[0]: places if several else places[0]})
    return data


def panels(data: "xarray.Dataset", variable: str, within: Sequence[str]) -> list[Panel]:
    """A panel for each value of the dim other than `rule`, `seed`, `step` and `within`; one panel if there is none.

    Raises:
        SelectionError: more than one such dim, or too many panels.
    """
    for dim in (SEED, RULE):
        if dim not in data.dims:
            data = data.expand_dims({dim: np.atleast_1d(data[dim].values) if dim in data.coords else [""]})
    known = {RULE, SEED, STEP, *within}
    data = data.squeeze([dim for dim, size in data[variable].sizes.items() if size == 1 and dim not in known])
    others = [str(dim) for dim in data[variable].dims if dim not in known]
    if not others:
        return [Panel("", data)]
    if len(others) > 1:
        example = f"select={{{others[1]!r}: {_literal(data, others[1])}}}"
        raise SelectionError(
            f"only one further dim can have panels, but {spelled(others)} vary: select a value of all but one of them, "
            f"as in {example}"
        )
    (dim,) = others
    if data.sizes[dim] > MOST:
        raise SelectionError(
            f"{data.sizes[dim]} values of {dim} are too many for panels (at most {MOST}): choose some, as in "
            f"select={{{dim!r}: [{_literal(data, dim)}]}}"
        )
    return [Panel(_title(data, dim, i), data.isel({dim: i})) for i in range(data.sizes[dim])]


def _place(axis: str, values: np.ndarray, wanted: Any) -> int:
    if np.issubdtype(values.dtype, np.number):
        return int(np.abs(values - float(wanted)).argmin())
    matches = [i for i, value in enumerate(values) if str(value) == str(wanted)]
    if not matches:
        raise SelectionError(f"select: {axis} has no value {wanted!r}; it has {spelled(values.tolist())}")
    return matches[0]


def _title(data: "xarray.Dataset", dim: str, place: int) -> str:
    axes = [name for name, coord in data.coords.items() if coord.dims == (dim,)]
    # A dim of zipped axes may have a coordinate of indices; the values of its axes are more informative.
    axes = [name for name in axes if name != dim] or axes
    return ", ".join(f"{name} = {numbers(data[name].values.tolist())[place]}" for name in axes) or f"{dim} {place}"


def _literal(data: "xarray.Dataset", dim: str) -> str:
    return repr(data[dim].values[0].item() if hasattr(data[dim].values[0], "item") else data[dim].values[0])
