"""A landscape as files for ParaView: polygons and lines in the legacy VTK text format.

The format is specified in Kitware, The VTK User's Guide, "VTK File Formats". The required part of it is small, so this
module writes it directly, without a dependency such as meshio or pyevtk.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from gdlab.analysis.selection import RULE
from gdlab.atomic_file import whole_file
from gdlab.errors import SelectionError
from gdlab.figures.plane import surface_of, with_rules
from gdlab.figures.relief import Relief, lifted, relief

if TYPE_CHECKING:
    import xarray

# The maximum number of characters that VTK reads from the second line, the title.
TITLE = 255


def to_vtk(
    data: "xarray.Dataset",
    path: str | Path,
    *,
    log: Literal["auto"] | bool = "auto",
    height: float = 0.5,
) -> list[Path]:
    """Write the surface to `path` (NAME.vtk) and the paths, if any, to NAME-paths.vtk; return the files written.

    The surface is a mesh of quadrilaterals in the coordinates of the plane. Cells with a corner whose loss is not
    finite are left out, because a mesh with NaN coordinates has no bounds; points that belong to no cell are left out
    too. Each point of the mesh has the values of all variables over (y, x), including NaN, so that the mesh can be
    coloured by any of them.

    Each path is a line on the surface. Its points have the data `loss` and `point`, the index along the path. Each line
    has the data `run`, the index of the run, and `rule`, the index of the rule in the list in the title of the file. A
    path that leaves the surface is split into several lines.

    Args:
        data: as for the figure `landscape`.
        path: the file to write, with the extension .vtk.
        log: whether heights are linear in log(loss - min + eps) instead of the loss; "auto": if loss - min spans more
            than two decades. The variables on the points are not transformed.
        height: the height of the surface, as a fraction of the longer side of the plane.

    Raises:
        SelectionError: no surface, a surface without a finite cell, or an extension other than .vtk.
        OSError: the folder can't be written.
    """
    path = Path(path)
    if path.suffix != ".vtk":
        raise SelectionError(f"the name of a VTK file must end in .vtk: {path}")
    surface, data = surface_of(data), with_rules(data)
    heights = relief(surface.values, log)
    scale = height * max(float(np.ptp(surface[axis].values)) for axis in ("x", "y"))
    written = [path]
    with whole_file(path) as partial:
        partial.write_text("".join(_surface(data, surface, heights, scale)), encoding="ascii")
    lines = list(_pieces(data, surface, heights, scale))
    if lines:
        written.append(path.with_name(f"{path.stem}-paths.vtk"))
        with whole_file(written[1]) as partial:
            partial.write_text("".join(_paths(data, lines)), encoding="ascii")
    return written


def _surface(data: "xarray.Dataset", surface: "xarray.DataArray", heights: Relief, scale: float) -> Iterator[str]:
    rows, columns = surface.shape
    z = heights.height(surface.values)
    number = np.arange(rows * columns).reshape(rows, columns)
    cells = np.stack([number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]], axis=-1).reshape(-1, 4)
    cells = cells[np.isfinite(z.ravel()[cells]).all(axis=1)]
    if not len(cells):
        raise SelectionError("no cell of the landscape is finite at its four corners: there is no surface to write")
    used, corners = np.unique(cells, return_inverse=True)
    x, y = np.meshgrid(surface["x"].values, surface["y"].values)
    points = np.stack([x, y, scale * z], axis=-1).reshape(-1, 3)[used]
    lost = surface.size - int(np.isfinite(surface.values).sum())
    yield _head(f"{_called(data)}; {lost} of {surface.size} points not finite, left out", points)
    yield _cells("POLYGONS", corners.reshape(-1, 4))
    variables = {
        str(name): values.transpose("y", "x").values.ravel()[used]
        for name, values in data.data_vars.items()
        if set(values.dims) == {"y", "x"}
    }
    yield _columns("POINT_DATA", len(used), variables)


def _pieces(
    data: "xarray.Dataset", surface: "xarray.DataArray", heights: Relief, scale: float
) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """The contiguous finite pieces of each path, with two points or more.

    Yields:
        The index of the run, and the positions [n, 3], the losses [n] and the indices [n] of the points.
    """
    for path, loss in lifted(data, surface):
        there = np.flatnonzero(np.isfinite(loss))
        for piece in np.split(there, np.flatnonzero(np.diff(there) > 1) + 1):
            if len(piece) > 1:
                z = scale * heights.height(loss[piece])
                yield path.run, np.stack([path.x[piece], path.y[piece], z], axis=-1), loss[piece], path.points[piece]


def _paths(data: "xarray.Dataset", lines: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]) -> Iterator[str]:
    labels = [str(name) for name in data[RULE].values]
    names = list(dict.fromkeys(labels))
    yield _head(f"{_called(data)}; rules: {', '.join(names)}", np.concatenate([places for _, places, _, _ in lines]))
    ends = np.cumsum([0, *(len(places) for _, places, _, _ in lines)])
    yield _cells("LINES", [np.arange(*piece) for piece in pairwise(ends)])
    runs = np.array([run for run, _, _, _ in lines])
    yield _columns("CELL_DATA", len(lines), {"run": runs, "rule": np.array([names.index(labels[run]) for run in runs])})
    on_points = {"loss": np.concatenate([loss for _, _, loss, _ in lines])}
    on_points["point"] = np.concatenate([number for _, _, _, number in lines])
    yield _columns("POINT_DATA", int(ends[-1]), on_points)


def _called(data: "xarray.Dataset") -> str:
    words = [str(data.attrs[key]) for key in ("name", "problem") if data.attrs.get(key)]
    return "gdlab: " + " ".join(words or ["a landscape"])


def _head(title: str, points: np.ndarray) -> str:
    plain = title.encode("ascii", "replace").decode().replace("\n", " ")[:TITLE]
    rows = "".join(" ".join(map(repr, row)) + "\n" for row in points.astype(float).tolist())
    return f"# vtk DataFile Version 3.0\n{plain}\nASCII\nDATASET POLYDATA\nPOINTS {len(points)} double\n{rows}"


def _cells(kind: str, cells: "np.ndarray | list[np.ndarray]") -> str:
    rows = "".join(f"{len(cell)} {' '.join(map(str, cell.tolist()))}\n" for cell in cells)
    return f"{kind} {len(cells)} {sum(len(cell) + 1 for cell in cells)}\n{rows}"


def _columns(kind: str, count: int, columns: Mapping[str, np.ndarray]) -> str:
    text = [f"{kind} {count}\n"]
    for name, values in columns.items():
        whole = np.issubdtype(values.dtype, np.integer)
        text.append(f"SCALARS {'_'.join(name.split())} {'int' if whole else 'double'} 1\nLOOKUP_TABLE default\n")
        text.append("".join(f"{value!r}\n" for value in values.astype(int if whole else float).tolist()))
    return "".join(text)
