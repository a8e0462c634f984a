"""Metadata of a group on disk: its axes, layout, program and the specifications of its arrays.

The metadata follows from the plan, so damaged metadata can be written again, and the results are then read as before.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from gdlab.engine.axis_values import ABSENT
from gdlab.engine.dataset import label
from gdlab.engine.fill_values import fill_dtype, fill_value
from gdlab.engine.layout import Layout
from gdlab.engine.plan import Cover, Group, records
from gdlab.engine.sink import Variable

_ABSENT = {"absent": True}
# If a series takes at most this many bytes in a tile, it is one chunk there, kept in memory until the tile is complete.
BUFFERED = 4 * 2**20


class ArraySpec(NamedTuple):
    """Shape, chunks and dtype of the array of a result."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype


class GroupMetadata(NamedTuple):
    """Attributes of a group (JSON values), its columns, and the specifications of its arrays."""

    attributes: dict[str, Any]
    columns: dict[str, np.ndarray]  # the values of the axes for each run, and the steps of the records
    arrays: dict[str, ArraySpec]

    @property
    def layout(self) -> Layout:
        return Layout(**self.attributes["layout"])

    @property
    def runs(self) -> int:
        """The number of runs."""
        return next(iter(self.arrays.values())).shape[0]

    @property
    def covers(self) -> tuple[Cover, ...]:
        return tuple(map(_cover, self.attributes["covers"]))

    @property
    def static(self) -> dict[str, Any]:
        """The static values; absent axes are left out."""
        return {name: value for name, value in self.attributes["static"].items() if value != _ABSENT}

    def runs_key(self) -> tuple[Any, ...]:
        """A key that is equal for metadata of the same runs."""
        columns = {name: (column.dtype, column.tobytes()) for name, column in self.columns.items()}
        return as_text(self.attributes["static"]), self.attributes["coordinates"], columns

    def same(self, other: "GroupMetadata") -> bool:
        """Whether two metadata are equal."""
        return (as_text(self.attributes), self.arrays, self.runs_key()) == (
            as_text(other.attributes),
            other.arrays,
            other.runs_key(),
        )


def metadata_of(group: Group, layout: Layout, variables: Mapping[str, Variable]) -> GroupMetadata:
    """The metadata of a group for a layout."""
    series = [name for name, variable in variables.items() if variable.series]
    attributes = {
        # xarray reads the names of coordinates that are not dims from this attribute.
        "coordinates": " ".join(group.columns),
        "results": list(variables),
        "series": series,
        "static": {name: to_json(value) for name, value in group.static.items()},
        "records": records(group.process),
        "covers": [_cover_to_json(cover) for cover in group.covers],
        "layout": layout._asdict(),
        "program": program_of(group),
    }
    columns = dict(group.columns)
    if series:
        columns["step"] = np.arange(0, group.process.steps, group.process.every)
    arrays = {name: _array_spec(variable, group.size, layout) for name, variable in variables.items()}
    return GroupMetadata(json.loads(json.dumps(attributes)), columns, arrays)


def program_of(group: Group) -> dict[str, str]:
    """The program of a group: its digest, a digest of the arrays in it, and the version of JAX that traced it.

    The digest of the program includes the fixed values of the process.
    """
    digest = hashlib.sha256(group.cost.program.encode())
    for name, value in sorted(group.process.fixed.items()):
        number = np.asarray(value)
        digest.update(f"{name} {number.dtype} {number.shape} ".encode() + number.tobytes())
    return {"digest": digest.hexdigest(), "data": group.cost.data, "jax": jax.__version__}


def changed(metadata: GroupMetadata, program: Mapping[str, str]) -> str | None:
    """What differs between the program in the metadata and `program`, as text; None if no difference is found.

    Different versions of JAX trace a function to different programs; then only the arrays are compared.
    """
    before = metadata.attributes["program"]
    if before["data"] != program["data"]:
        return "the arrays that its problem or rule uses (a data file, for example)"
    if before["jax"] == program["jax"] and before["digest"] != program["digest"]:
        return "what its code computes"
    return None


def _array_spec(variable: Variable, runs: int, layout: Layout) -> ArraySpec:
    chunk, tile = [max(1, size) for size in variable.shape], min(layout.tile, runs)
    if variable.series and tile * np.prod(chunk) * variable.dtype.itemsize > BUFFERED:
        chunk[0] = min(layout.blocks, chunk[0])
    return ArraySpec((runs, *variable.shape), (tile, *map(int, chunk)), np.dtype(variable.dtype))


def write_metadata(store: Path, index: int, metadata: GroupMetadata) -> None:
    """Write the metadata of a group in place of any that exists; its results are not changed."""
    import zarr
    from zarr.codecs import Crc32cCodec, ZstdCodec

    home = store / name_of(index)
    for file in list(home.rglob("zarr.json")):
        remove_folder(file)
        file.unlink(missing_ok=True)
    here = zarr.open_group(store, mode="r+").create_group(name_of(index))
    codecs = [ZstdCodec(level=0), Crc32cCodec()]
    for name, column in metadata.columns.items():
        shutil.rmtree(home / name, ignore_errors=True)
        dim = "step" if name == "step" else "run"
        here.create_array(name, data=np.ascontiguousarray(column), dimension_names=[dim], compressors=codecs)
    for name, spec in metadata.arrays.items():
        own = ["step"] if name in metadata.attributes["series"] else []
        own += [f"{name}_{i}" for i in range(len(spec.shape) - 1 - len(own))]
        here.create_array(
            name,
            shape=spec.shape,
            chunks=spec.chunks,
            dtype=spec.dtype,
            # An array of booleans or unsigned integers can't hold its fill value; gdlab reads the manifest instead.
            fill_value=fill_value(spec.dtype) if fill_dtype(spec.dtype) == spec.dtype else spec.dtype.type(0),
            dimension_names=["run", *own],
            compressors=codecs,
        )
    here.attrs.update(metadata.attributes)  # last, since a group without attributes counts as not begun


def read_metadata(root: Any, index: int) -> GroupMetadata | None:
    """The metadata of a group of an open store; None if the group was not begun or its metadata can't be read."""
    try:
        here = root[name_of(index)]
        attributes = dict(here.attrs)
        names = [*attributes["coordinates"].split(), *(["step"] if attributes["series"] else [])]
        found = {name: here[name] for name in attributes["results"]}
        arrays = {name: ArraySpec(array.shape, array.chunks, array.dtype) for name, array in found.items()}
        metadata = GroupMetadata(attributes, {name: here[name][:] for name in names}, arrays)
        assert metadata.layout, metadata.covers  # raises if a key is missing
        assert set(attributes["program"]) == {"digest", "data", "jax"}
    except OSError as error:
        if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
            return None
        raise
    except Exception:  # zarr and JSON raise errors of many types
        return None
    return metadata


def metadata_digest(store: Path, index: int, space: Any) -> str | None:
    """A digest of the metadata of a group on disk, and of the space of the store (as JSON).

    None if a file of the metadata is missing, is a folder, or is a dangling link.
    """
    home = store / name_of(index)
    try:
        columns = [*json.loads((home / "zarr.json").read_bytes())["attributes"]["coordinates"].split(), "step"]
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    files = [
        *home.glob("zarr.json"),
        *home.glob("*/zarr.json"),
        *(f for name in columns for f in home.glob(f"{name}/c/*")),
    ]
    digest = hashlib.sha256(json.dumps(space).encode())
    for file in sorted(file for file in files if file.suffix != ".partial"):
        try:
            content = file.read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        digest.update(f"{file.relative_to(home)} {len(content)} ".encode())
        digest.update(content)
    return digest.hexdigest()


def remove_folder(path: Path) -> None:
    """Remove a folder at a path where a file belongs; a file is kept."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)


def name_of(index: int) -> str:
    """The name of a group in its store."""
    return f"group_{index}"


def _cover_to_json(cover: Cover) -> dict[str, Any]:
    in_order = np.array_equal(cover.runs, np.arange(len(cover.runs)))
    return {
        "rows": [rows.tolist() for rows in cover.rows],
        "offsets": [offsets.tolist() for offsets in cover.offsets],
        "runs": len(cover.runs) if in_order else cover.runs.tolist(),
    }


def _cover(written: Mapping[str, Any]) -> Cover:
    runs = written["runs"]
    return Cover(
        tuple(np.asarray(rows, int) for rows in written["rows"]),
        tuple(np.asarray(offsets, int) for offsets in written["offsets"]),
        np.arange(runs) if isinstance(runs, int) else np.asarray(runs, int),
    )


def as_text(value: Any) -> str:
    """A JSON value as text. True, 1 and 1.0 differ in it, and so do 0.0 and -0.0, although they compare equal."""
    return json.dumps(value, sort_keys=True)


def to_json(value: Any) -> Any:
    """A static value as JSON; a value that JSON can't hold is replaced by its name."""
    if value is ABSENT:
        return _ABSENT
    if isinstance(value, list | tuple):
        return [to_json(v) for v in value]
    return value if value is None or isinstance(value, bool | int | float | str) else label([value])[0]
