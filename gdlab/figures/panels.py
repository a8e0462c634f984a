"""The part of a Dataset that a figure shows, cut into panels."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gdlab.analysis.selection import RULE, SEED, STEP
from gdlab.errors import SelectionError
from gdlab.figures.wording import numbers, spelled

if TYPE_CHECKING:
    import xarray

MOST = 12


class Panel(NamedTuple):
    """One panel: its title, and its data with the dims `rule` and `seed` (of size 1 if the sweep had none)."""

    title: str
    data: "xarray.Dataset"


def rule_names(data: "xarray.Dataset") -> list[str]:
    """The rules in the order of the Dataset; one nameless rule if it has none."""
    return [str(name) for name in np.atleast_1d(data[RULE].values)] if RULE in data.coords else [""]


def dims_of(data: "xarray.Dataset", axes: Sequence[str]) -> list[str]:
    """The dims along which axes run: their own, or the one that they are zipped in; those that are fixed have none."""
    return list(dict.fromkeys(str(dim) for axis in axes if axis in data.coords for dim in data[axis].dims))


def selected(data: "xarray.Dataset", select: Mapping[str, Any] | None) -> "xarray.Dataset":
    """The slices nearest to the values asked for; a list keeps a slice for each, one value drops the dim.

    Raises:
        SelectionError: no such axis, or (of an axis that is not of numbers) no such value.
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
    """One panel for each value of the dim that is neither `rule`, `seed`, `step` nor in `within`; or just one panel.

    Raises:
        SelectionError: more than one such dim, or more panels than can be read.
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
            f"{spelled(others)} vary beside {spelled([d for d in data[variable].dims if d not in others])}; there can "
            f"be panels for one of them: choose a value of the other{'s' * (len(others) > 2)}, as in {example}"
        )
    (dim,) = others
    if data.sizes[dim] > MOST:
        raise SelectionError(
            f"{data.sizes[dim]} values of {dim} are too many for panels (the most is {MOST}): choose some, as in "
            f"select={{{dim!r}: [{_literal(data, dim)}]}}"
        )
    return [Panel(_title(data, dim, i), data.isel({dim: i})) for i in range(data.sizes[dim])]


def at_most(others: int, along: Callable[[Mapping[str, Any]], Sequence[str]]) -> Callable[..., str]:
    """The `needs` of a figure (see `gdlab.register.figure`) that shows at most so many dims besides its own.

    Its own are rule, seed and those of the axes `along(options)`; a value in the options `select` and `at` fixes a dim.
    """

    def needs(axes: Mapping[str, tuple[str, int]], options: Mapping[str, Any]) -> str:
        choices = [options.get(name) for name in ("select", "at")]
        fixed = {n for c in choices if isinstance(c, Mapping) for n, v in c.items() if not isinstance(v, list | tuple)}
        own = {axes[name][0] for name in (RULE, SEED, *along(options), *fixed) if name in axes}
        names = [name for name, (dim, size) in axes.items() if dim not in own and size > 1]
        count = len({axes[name][0] for name in names})
        if count <= others:
            return ""
        room = "has no room for other axes" if others == 0 else "has room for one other axis"
        return f"{room}, and {spelled(names)} vary: choose a value, as in select: {{{names[-1]}: ...}}"

    return needs


def _place(axis: str, values: np.ndarray, wanted: Any) -> int:
    if np.issubdtype(values.dtype, np.number):
        return int(np.abs(values - float(wanted)).argmin())
    matches = [i for i, value in enumerate(values) if str(value) == str(wanted)]
    if not matches:
        raise SelectionError(f"select: {axis} has no value {wanted!r}; it has {spelled(values.tolist())}")
    return matches[0]


def _title(data: "xarray.Dataset", dim: str, place: int) -> str:
    axes = [name for name, coord in data.coords.items() if coord.dims == (dim,)]
    # A dim of zipped axes may be numbered itself; its axes say more.
    axes = [name for name in axes if name != dim] or axes
    return ", ".join(f"{name} = {numbers(data[name].values.tolist())[place]}" for name in axes) or f"{dim} {place}"


def _literal(data: "xarray.Dataset", dim: str) -> str:
    return repr(data[dim].values[0].item() if hasattr(data[dim].values[0], "item") else data[dim].values[0])
