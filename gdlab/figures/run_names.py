"""Names of runs for titles and legends."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab.analysis.selection import RULE
from gdlab.errors import SelectionError
from gdlab.figures.panels import MOST
from gdlab.figures.wording import number, spelled

if TYPE_CHECKING:
    import xarray

RUN = "run"


def run_names(data: "xarray.Dataset", dim: str) -> list[str]:
    """A name for each slice along a dim: "adam", "adam  lr 0.1", "run 3"."""
    return [name_of(data, dim, place) for place in range(data.sizes[dim])]


def name_of(data: "xarray.Dataset", dim: str, place: int) -> str:
    """The name of the slice at index `place` along a dim.

    The name consists of the rule, the rate and the other coordinates that differ along the dim. Without such
    coordinates it is the dim and the index.
    """
    along = [name for name, axis in data.coords.items() if axis.dims == (dim,)]
    names = sorted((name for name in along if _tells(data, name, dim)), key=lambda name: name != RULE)
    return "  ".join(_word(name, data[name].values[place]) for name in names) or f"{dim} {place}"


def _word(name: Hashable, value: Any) -> str:
    return str(value) if isinstance(value, str) else f"{name} {number(value)}"


def _tells(data: "xarray.Dataset", name: Hashable, dim: str) -> bool:
    """Whether a coordinate is part of the name.

    The rule, the rate and coordinates that differ along the dim are part of it. `run` is part of it only if
    the dim has no other coordinate.
    """
    if name == RUN:
        return not any(axis.dims == (dim,) for other, axis in data.coords.items() if other != RUN)
    return name in (RULE, "lr", dim) or len(np.unique(data[name].values.astype(str))) > 1


def names_of_lines(data: "xarray.Dataset", variable: str, dims: Sequence[str]) -> list[str]:
    """The names of the lines of a figure, one for each rule or run; a single empty name if there is no such dim.

    Args:
        dims: the dims of the variable that are not axes of the figure.

    Raises:
        SelectionError: dims other than `rule` or `run`, or too many lines.
    """
    if not dims:
        return [""]
    if len(dims) > 1 or dims[0] not in (RULE, RUN):
        raise SelectionError(
            f"{variable} varies along {spelled(dims)}, but each line is a rule or a run: choose a value "
            f"of the other dims, as in select={{{dims[-1]!r}: ...}}"
        )
    if data.sizes[dims[0]] > MOST:
        raise SelectionError(
            f"{data.sizes[dims[0]]} lines are too many for a panel (at most {MOST}): choose some, as in "
            "select={'rule': [...]}"
        )
    return run_names(data, dims[0])
