"""A results folder: what lies where in it, and how it is made and opened."""

import csv
import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab.engine.store import StoreError, open_store, read_store

if TYPE_CHECKING:
    import xarray

CONFIG = "config.yaml"
PROVENANCE = "provenance.json"
RUNS = "runs.csv"
FIGURES = "figures"
LANDSCAPE = "landscape"


def make_folder(root: Path, name: str, digest: str, now: datetime) -> Path:
    """Make `root/name/YYYYmmdd-HHMMSS-DIGEST`, new for sure, and let `root/name/latest` point to it.

    Raises:
        OSError: the folder can't be made.
    """
    stem = f"{now:%Y%m%d-%H%M%S}-{digest}"
    (root / name).mkdir(parents=True, exist_ok=True)
    for attempt in range(1, 100):
        folder = root / name / (stem if attempt == 1 else f"{stem}-{attempt}")
        try:
            folder.mkdir()
            break
        except FileExistsError:  # two runs of one config within a second
            continue
    else:
        raise FileExistsError(f"{root / name / stem} and 98 more like it exist already")
    _point_latest(folder)
    return folder


def _point_latest(folder: Path) -> None:
    fresh = folder.parent / f".latest-{folder.name}"
    try:
        fresh.symlink_to(folder.name)
    except OSError:  # a file system without links: `latest` is a convenience only
        return
    os.replace(fresh, folder.parent / "latest")


def find_folder(path: Path) -> Path:
    """The results folder that a path means: itself, or the latest within it.

    Raises:
        StoreError: there are no results there.
    """
    for folder in (path, path / "latest"):
        if (folder / "store.zarr").is_dir():
            return folder
    if not path.exists():
        raise StoreError(f"there is no folder {path}")
    raise StoreError(f"{path} holds no results: there is no store.zarr in it")


def open_results(path: str | Path) -> "xarray.Dataset":
    """The results of `gdlab run` as one labelled Dataset: dims `rule`, the axes of the sweep, and `step` for series.

    `path` is a results folder, or the folder of all results of one name (then the latest).

    Raises:
        gdlab.engine.store.StoreError: there are no results there, or of another version.
    """
    import xarray

    folder = find_folder(Path(path))
    data = open_store(folder)
    known = read_json(folder / PROVENANCE) if (folder / PROVENANCE).exists() else {}
    data.attrs |= {key: known[key] for key in ("name", "problem") if key in known}
    limits = known.get("stable_lr", {})
    if limits:
        values = [limits.get(rule, {}).get("lr", np.nan) for rule in data["rule"].values]
        constants = {f"{limit['c']:.3g}/L" for limit in limits.values()}
        label = constants.pop() if len(constants) == 1 else "stability limit"
        data["stable_lr"] = xarray.DataArray(values, dims="rule", attrs={"label": label})
    return data


def write_runs(folder: Path) -> None:
    """Write runs.csv: a row for each run, its axes first (blank where an axis made no difference to it)."""
    space, pieces, series, _ = read_store(folder)
    ends = [name for name in dict.fromkeys(n for piece in pieces for n in piece.results) if name not in series]
    ends = [name for name in ends if all(p.results[name].ndim == 2 for p in pieces if name in p.results)]
    partial = folder / f".{RUNS}.partial"
    with partial.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*space.names, *ends])
        for static, lanes, results in pieces:
            outer = [lane for lane in lanes if lane.outer]
            inner = [lane for lane in lanes if not lane.outer]
            shape = [lane.size for lane in (*outer, *inner)]
            places = np.unravel_index(np.arange(int(np.prod(shape))), shape) if shape else ()
            columns: dict[str, Any] = {name: [value] * int(np.prod(shape)) for name, value in static.items()}
            for lane, place in zip((*outer, *inner), places, strict=True):
                columns |= {n: column[place] for n, column in zip(lane.names, lane.columns, strict=True)}
            columns |= {name: results[name].reshape(-1) for name in ends if name in results}
            blank = [""] * int(np.prod(shape))
            rows.writerows(zip(*(columns.get(name, blank) for name in (*space.names, *ends)), strict=True))
    os.replace(partial, folder / RUNS)


def write_landscape(folder: Path, data: "xarray.Dataset") -> None:
    """Add a landscape to the store. The rules' names go into the attributes: zarr 3 has no settled form for strings."""
    plain = data.drop_vars("rule").assign_attrs(rules=[str(rule) for rule in data["rule"].values])
    plain.to_zarr(folder / "store.zarr", group=LANDSCAPE, mode="w", consolidated=False)


def open_landscape(folder: Path) -> "xarray.Dataset":
    """The landscape in a results folder.

    Raises:
        StoreError: it holds none.
    """
    import xarray

    if not (folder / "store.zarr" / LANDSCAPE).is_dir():
        raise StoreError(f"{folder} holds no landscape: its config has no `landscape` section")
    data = xarray.open_zarr(folder / "store.zarr", group=LANDSCAPE, consolidated=False).load()
    return data.assign_coords(rule=("rule", np.array(data.attrs["rules"], object)))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file."""
    return json.loads(path.read_text())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(partial, path)
