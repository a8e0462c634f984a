"""The panels of a grid of landscapes: their data, positions and names."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from gdlab.errors import SelectionError
from gdlab.figures.wording import spelled

if TYPE_CHECKING:
    import xarray

# The maximum numbers of panels: side by side in a grid, in total, and in a figure of a single row.
ABREAST, MOST, ROW = 10, 80, 6


class Cell(NamedTuple):
    """One landscape: the position of its panel, and whether its run diverged."""

    row: int
    column: int
    place: int  # the index along the dim of the columns
    data: "xarray.Dataset"
    diverged: bool


def dims_of_grid(data: "xarray.Dataset") -> tuple[str | None, str]:
    """The dims of the rows and of the columns; the dim of the rows is None if there is only one dim.

    Raises:
        SelectionError: no loss over y, x and one or two other dims; too many panels.
    """
    if "loss" not in data or not {"x", "y"} < set(data["loss"].dims):
        raise SelectionError("a grid of landscapes needs a variable 'loss' over y, x and the dims of its panels")
    others = [str(dim) for dim in data["loss"].dims if dim not in ("x", "y")]
    sizes = [data.sizes[dim] for dim in others]
    if len(others) > 2:
        example = f"select={{{others[-1]!r}: ...}}"
        raise SelectionError(
            f"the panels can vary along at most two dims, but the loss varies along {spelled(others)}: use {example}"
        )
    if math.prod(sizes) > MOST or (len(others) == 2 and sizes[1] > ABREAST):
        raise SelectionError(
            f"{math.prod(sizes)} panels, {' × '.join(map(str, sizes))} along {spelled(others)}, are too many (at most "
            f"{MOST}, {ABREAST} in a row): choose some, as in select={{{others[-1]!r}: [...]}}"
        )
    return (None, others[0]) if len(others) == 1 else (others[0], others[1])


def cells_of(data: "xarray.Dataset", down: str | None, across: str) -> Iterator[Cell]:
    """The panels, row by row."""
    # With one dim, up to ROW panels form one row; more panels form a nearly square grid.
    size = data.sizes[across]
    columns = size if down or size <= ROW else min(ABREAST, math.ceil(math.sqrt(size)))
    for row in range(data.sizes[down] if down else 1):
        for place in range(size):
            one = data.isel({across: place} | ({down: row} if down else {}))
            at = (row, place) if down else divmod(place, columns)
            yield Cell(*at, place, one, _diverged(one))


def _diverged(one: "xarray.Dataset") -> bool:
    for name in ("diverged", "path_diverged"):
        if name in one:
            return bool(one[name])
    return bool(one["diverged_at"] >= 0) if "diverged_at" in one else False
