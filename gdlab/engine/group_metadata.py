"""The frame of a group on disk: all but its results. It says whose results they are and how they are cut.

A frame follows from the plan, so it can be made again where it was damaged; the results are then read as before.
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
# A series of a tile of at most this many bytes is one chunk, and waits in memory until the tile is whole.
BUFFERED = 4 * 2**20


class ArraySpec(NamedTuple):
    """How a result is kept."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype


class GroupMetadata(NamedTuple):
    """What a group says of itself (its attributes, in the types of JSON), its columns, the forms of its results."""

    told: dict[str, Any]
    columns: dict[str, np.ndarray]  # those of the lanes, and the steps of the records
    forms: dict[str, ArraySpec]

    @property
    def layout(self) -> Layout:
        return Layout(**self.told["layout"])

    @property
    def runs(self) -> int:
        """How many lanes there are."""
        return next(iter(self.forms.values())).shape[0]

    @property
    def covers(self) -> tuple[Cover, ...]:
        return tuple(map(_cover, self.told["covers"]))

    @property
    def static(self) -> dict[str, Any]:
        """The static values, without those of axes that are not given."""
        return {name: value for name, value in self.told["static"].items() if value != _ABSENT}

    def whose(self) -> tuple[Any, ...]:
        """What the lanes are."""
        columns = {name: (column.dtype, column.tobytes()) for name, column in self.columns.items()}
        return as_text(self.told["static"]), self.told["coordinates"], columns

    def same(self, other: "GroupMetadata") -> bool:
        """Whether two frames say the same."""
        return (as_text(self.told), self.forms, self.whose()) == (as_text(other.told), other.forms, other.whose())


def metadata_of(group: Group, layout: Layout, variables: Mapping[str, Variable]) -> GroupMetadata:
    """The frame of a group that is laid out in some way."""
    series = [name for name, variable in variables.items() if variable.series]
    told = {
        # xarray reads the names of coordinates that are no dims from this attribute
        "coordinates": " ".join(group.columns),
        "results": list(variables),
        "series": series,
        "static": {name: plain(value) for name, value in group.static.items()},
        "records": records(group.process),
        "covers": [_cover_to_json(cover) for cover in group.covers],
        "layout": layout._asdict(),
        "program": program_of(group),
    }
    columns = dict(group.columns)
    if series:
        columns["step"] = np.arange(0, group.process.steps, group.process.every)
    forms = {name: _form(variable, group.size, layout) for name, variable in variables.items()}
    return GroupMetadata(json.loads(json.dumps(told)), columns, forms)


def program_of(group: Group) -> dict[str, str]:
    """What a group computes: a digest of its program, one of the arrays in it, and the version of JAX that traced it.

    The values that every run has are part of the program.
    """
    digest = hashlib.sha256(group.cost.program.encode())
    for name, value in sorted(group.process.fixed.items()):
        number = np.asarray(value)
        digest.update(f"{name} {number.dtype} {number.shape} ".encode() + number.tobytes())
    return {"digest": digest.hexdigest(), "data": group.cost.data, "jax": jax.__version__}


def changed(frame: GroupMetadata, program: Mapping[str, str]) -> str | None:
    """What differs between the program of a frame on disk and another, in words; None where nothing is known to differ.

    Two versions of JAX trace a function to different programs, so then only the arrays are compared.
    """
    before = frame.told["program"]
    if before["data"] != program["data"]:
        return "the arrays that its problem or rule uses (a data file, for example)"
    if before["jax"] == program["jax"] and before["digest"] != program["digest"]:
        return "what its code computes"
    return None


def _form(variable: Variable, lanes: int, layout: Layout) -> ArraySpec:
    chunk, tile = [max(1, size) for size in variable.shape], min(layout.tile, lanes)
    if variable.series and tile * np.prod(chunk) * variable.dtype.itemsize > BUFFERED:
        chunk[0] = min(layout.blocks, chunk[0])
    return ArraySpec((lanes, *variable.shape), (tile, *map(int, chunk)), np.dtype(variable.dtype))


def write_metadata(store: Path, index: int, frame: GroupMetadata) -> None:
    """Put the frame of a group on disk, in place of what there is of one; its results stay as they are."""
    import zarr
    from zarr.codecs import Crc32cCodec, ZstdCodec

    home = store / name_of(index)
    for file in list(home.rglob("zarr.json")):
        remove_folder(file)
        file.unlink(missing_ok=True)
    here = zarr.open_group(store, mode="r+").create_group(name_of(index))
    codecs = [ZstdCodec(level=0), Crc32cCodec()]
    for name, column in frame.columns.items():
        shutil.rmtree(home / name, ignore_errors=True)
        dim = "step" if name == "step" else "run"
        here.create_array(name, data=np.ascontiguousarray(column), dimension_names=[dim], compressors=codecs)
    for name, form in frame.forms.items():
        own = ["step"] if name in frame.told["series"] else []
        own += [f"{name}_{i}" for i in range(len(form.shape) - 1 - len(own))]
        here.create_array(
            name,
            shape=form.shape,
            chunks=form.chunks,
            dtype=form.dtype,
            # A boolean or unsigned array can't hold its fill value; readers go by the manifest.
            fill_value=fill_value(form.dtype) if fill_dtype(form.dtype) == form.dtype else form.dtype.type(0),
            dimension_names=["run", *own],
            compressors=codecs,
        )
    here.attrs.update(frame.told)  # last: a group without attributes is not begun


def read_metadata(root: Any, index: int) -> GroupMetadata | None:
    """The frame of a group of an open store; None where it was not begun, or can't be read."""
    try:
        here = root[name_of(index)]
        told = dict(here.attrs)
        names = [*told["coordinates"].split(), *(["step"] if told["series"] else [])]
        forms = {name: ArraySpec(here[name].shape, here[name].chunks, here[name].dtype) for name in told["results"]}
        frame = GroupMetadata(told, {name: here[name][:] for name in names}, forms)
        assert frame.layout, frame.covers  # what is missing there is missed at once
        assert set(told["program"]) == {"digest", "data", "jax"}
    except OSError as error:
        if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
            return None
        raise
    except Exception:  # of the many kinds that zarr and JSON raise
        return None
    return frame


def digest_of(store: Path, index: int, space: Any) -> str | None:
    """A digest of the frame of a group as it is on disk, and of the space of the store (as JSON).

    None without one, and where a file of it is a folder or a link to nothing.
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
    """Remove a folder that is where a file belongs; a file stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)


def name_of(index: int) -> str:
    """What a group is called in its store."""
    return f"group_{index}"


def _cover_to_json(cover: Cover) -> dict[str, Any]:
    straight = np.array_equal(cover.runs, np.arange(len(cover.runs)))
    return {
        "rows": [rows.tolist() for rows in cover.rows],
        "offsets": [offsets.tolist() for offsets in cover.offsets],
        "lanes": len(cover.runs) if straight else cover.runs.tolist(),
    }


def _cover(written: Mapping[str, Any]) -> Cover:
    lanes = written["lanes"]
    return Cover(
        tuple(np.asarray(rows, int) for rows in written["rows"]),
        tuple(np.asarray(offsets, int) for offsets in written["offsets"]),
        np.arange(lanes) if isinstance(lanes, int) else np.asarray(lanes, int),
    )


def as_text(told: Any) -> str:
    """What JSON can hold as a text, in which true, 1, 1.0 and -0.0 differ as they don't by `==`."""
    return json.dumps(told, sort_keys=True)


def plain(value: Any) -> Any:
    """A static value as JSON can hold it; what it can't, by its name."""
    if value is ABSENT:
        return _ABSENT
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value if value is None or isinstance(value, bool | int | float | str) else label([value])[0]
