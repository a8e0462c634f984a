"""A results folder: what lies where in it, and how it is made and opened."""

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gdlab.engine.read_store import STORE, StoreError, open_store, read_store

if TYPE_CHECKING:
    import xarray

CONFIG = "config.yaml"
PROVENANCE = "provenance.json"
RUNS = "runs.csv"
FIGURES = "figures"
CLAIMS = "claims.json"
SWEEP = "sweep"
LANDSCAPE = "landscape"
# The attribute in which coordinates that are words stand.
WORDS = "words"
# The attribute of a part of the results that has the digest of all its files; the key of provenance.json's.
DIGEST, CHECKSUM = "gdlab_digest", "checksum"


def make_folder(root: Path, name: str, digest: str, now: datetime, files: Mapping[str, str] | None = None) -> Path:
    """Make `root/name/YYYYmmdd-HHMMSS-DIGEST`, new for sure, with `files` in it; let `root/name/latest` point to it.

    Raises:
        OSError: the folder or a file can't be made; nothing is left of either then.
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
    try:
        for file, text in (files or {}).items():
            (folder / file).write_text(text)
    except BaseException as error:
        shutil.rmtree(folder)
        if isinstance(error, OSError):
            raise OSError(error.errno, f"{error.strerror}; nothing has been run", str(folder)) from None
        raise
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
        if (folder / PROVENANCE).exists() or (folder / STORE).is_dir():
            return folder
    if not path.exists():
        raise StoreError(f"there is no folder {path}")
    raise StoreError(f"{path} holds no results: there is no {STORE} in it")


def open_results(path: str | Path) -> "xarray.Dataset":
    """The results of `gdlab run` as one labelled Dataset: dims `rule`, the axes of the sweep, and `step` for series.

    `path` is a results folder, or the folder of all results of one name (then the latest).

    Raises:
        gdlab.engine.write_store.StoreError: there are no results there, or of another version, or they are damaged.
    """
    import xarray

    folder = find_folder(Path(path))
    known = provenance_of(folder)
    data = open_store(folder, finished=known.get("status") == "finished")
    data.attrs |= {key: known[key] for key in ("name", "problem", "size") if key in known}
    limits = known.get("stable_lr", {})
    if limits:
        values = [limits.get(rule, {}).get("lr", np.nan) for rule in data["rule"].values]
        constants = {f"{limit['c']:.3g}/L" for limit in limits.values()}
        label = constants.pop() if len(constants) == 1 else "stability limit"
        data["stable_lr"] = xarray.DataArray(values, dims="rule", attrs={"label": label})
    for metric, direction in known.get("directions", {}).items():
        if metric in data:
            data[metric].attrs["direction"] = direction
    for series, layers in known.get("layers", {}).items():
        if series in data:
            data[series].attrs["layers"] = layers
    for series, constants in known.get("stability", {}).items():
        if series in data and constants:
            data[f"stability_{series}"] = ("rule", [constants.get(rule, np.nan) for rule in data["rule"].values])
    return data


def provenance_of(folder: Path) -> dict[str, Any]:
    """What provenance.json says. Its `config_folder` may be edited, where the config's `code` has moved.

    Raises:
        StoreError: it is missing, damaged, or not as it was written.
    """
    try:
        told = read_json(folder / PROVENANCE)
        checksum = told.pop(CHECKSUM, None)
        if checksum != _checksum(told):
            raise StoreError(f"{folder / PROVENANCE} is damaged (it is not as it was written)")
    except StoreError as error:
        raise StoreError(
            f"{error}. It says what the results are of, and can't be made again: restore it from a copy, or run the "
            f"experiment again with gdlab run {folder / CONFIG}. The runs themselves are in {folder / STORE}: "
            "gdlab.engine.read_store.open_store reads them"
        ) from None
    return told


def provenance_text(told: Mapping[str, Any]) -> str:
    """The text of provenance.json."""
    return as_json({**told, CHECKSUM: _checksum(told)})


def write_provenance(folder: Path, told: Mapping[str, Any]) -> None:
    """Write provenance.json, whole or not at all."""
    _write(folder / PROVENANCE, provenance_text(told))


def _checksum(told: Mapping[str, Any]) -> str:
    checked = {name: value for name, value in told.items() if name != "config_folder"}
    return hashlib.sha256(json.dumps(checked, sort_keys=True).encode()).hexdigest()


def same_config(folder: Path) -> bool:
    """Whether the config in a results folder is the one that its runs began with.

    Raises:
        StoreError: the provenance, or the config, is missing or damaged.
    """
    told = provenance_of(folder)
    try:
        text = (folder / CONFIG).read_bytes()
    except OSError as error:
        raise StoreError(f"{folder / CONFIG} can't be read ({error.strerror})") from None
    return hashlib.sha256(text).hexdigest() == told["config"]


def refuse_other_config(folder: Path) -> None:
    """Refuse to go on with a results folder, or to draw from it, if its config was changed since its runs began.

    Raises:
        StoreError: it was changed; or the provenance, or the config, is missing or damaged.
    """
    if not same_config(folder):
        raise StoreError(other_config(folder))


def other_config(folder: Path) -> str:
    """What is said of a config that was changed since its runs began."""
    return (
        f"{folder / CONFIG} is not as it was when its runs began, so the results are not those of this config. "
        f"Restore it as it was, or run it as it is now: gdlab run {folder / CONFIG}"
    )


def write_runs(folder: Path) -> None:
    """Write runs.csv: a row for each run, its axes first (blank where an axis made no difference to it)."""
    stored = read_store(folder)
    space, groups, series = stored.space, stored.groups, stored.series
    ends = [name for name in dict.fromkeys(n for group in groups for n in group.results) if name not in series]
    ends = [name for name in ends if all(g.results[name].ndim == 1 for g in groups if name in g.results)]
    partial = folder / f".{RUNS}.partial"
    with partial.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*space.names, *ends])
        for group in groups:
            size = len(next(iter(group.results.values())))
            columns: dict[str, Any] = {name: [value] * size for name, value in group.static.items()}
            columns |= {**group.columns, **{name: group.results[name] for name in ends if name in group.results}}
            rows.writerows(zip(*(columns.get(name, [""] * size) for name in (*space.names, *ends)), strict=True))
    os.replace(partial, folder / RUNS)


def run_of_row(folder: Path, number: int) -> dict[str, str]:
    """The values of the axes of the run in a row of runs.csv, counted from 0; those that make no difference left out.

    They are read from the store, whose chunks have checksums; runs.csv is not read.

    Raises:
        StoreError: there is no such row, or the store can't be read.
    """
    stored, first = read_store(folder), 0
    for group in stored.groups:
        size = len(next(iter(group.results.values())))
        if number < first + size:
            values = {**group.static, **{name: column[number - first] for name, column in group.columns.items()}}
            return {name: str(values[name]) for name in stored.space.names if name in values}
        first += size
    raise StoreError(f"{folder} has no run number {number}: they are 0 to {first - 1}")


def write_part(folder: Path, name: str, data: "xarray.Dataset") -> None:
    """Add a group to the store: a landscape, say. Words go into the attributes: zarr 3 has no settled form for them."""
    import zarr
    from zarr.codecs import Crc32cCodec, ZstdCodec

    words = {str(n): coord for n, coord in data.coords.items() if coord.dtype.kind in "OUT"}
    listed = {name: [list(coord.dims), [str(word) for word in coord.values.ravel()]] for name, coord in words.items()}
    plain = data.drop_vars(list(words)).assign_attrs({WORDS: listed})
    home, partial = folder / STORE / name, folder / f".{name}.partial"
    checked = {variable: {"compressors": [ZstdCodec(level=0), Crc32cCodec()]} for variable in plain.variables}
    plain.to_zarr(partial, mode="w", consolidated=False, encoding=checked, write_empty_chunks=True)
    zarr.open_group(partial, mode="r+").attrs[DIGEST] = _digest_of_part(partial)
    shutil.rmtree(home, ignore_errors=True)
    os.replace(partial, home)


def _digest_of_part(path: Path) -> str:
    """A digest of the names and the contents of all files of a part, but for this digest in its attributes."""
    told = json.loads((path / "zarr.json").read_bytes())
    told["attributes"].pop(DIGEST, None)
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for file in sorted(file for file in path.rglob("*") if file.is_file() and file != path / "zarr.json"):
        digest.update(f"{file.relative_to(path)} {hashlib.sha256(file.read_bytes()).hexdigest()} ".encode())
    return digest.hexdigest()


def open_part(folder: Path, name: str = LANDSCAPE) -> "xarray.Dataset":
    """A group that `write_part` added to the results.

    Raises:
        StoreError: there is none, or it is damaged.
    """
    import xarray
    import zarr

    path = folder / STORE / name
    if not path.is_dir():
        raise StoreError(f"{folder} holds no {name}: gdlab landscape {folder} computes it")
    try:
        if _digest_of_part(path) != zarr.open_group(path, mode="r").attrs[DIGEST]:
            raise ValueError("a file of it is missing, or is not as it was written")
        data = xarray.open_zarr(path, consolidated=False).load()
        del data.attrs[DIGEST]
        words = {name: (dims, np.array(values, object)) for name, (dims, values) in data.attrs.pop(WORDS).items()}
        return data.assign_coords(words)
    except Exception as error:  # of the many kinds that xarray, zarr and its codecs raise
        raise StoreError(f"{path} is damaged ({error}); gdlab resume {folder} makes it anew") from None


def open_named(folder: Path, name: str) -> "xarray.Dataset":
    """What a figure or a check is of: the results of the sweep, or a part beside them.

    Raises:
        StoreError: as `open_results` and `open_part`.
    """
    return open_results(folder) if name == SWEEP else open_part(folder, name)


def all_claims(folder: Path) -> list[dict[str, Any]]:
    """The records in `claims.json`, each a claim with its verdict; none where there has been no check.

    Raises:
        StoreError: the file is damaged.
    """
    path = folder / CLAIMS
    if not (path.exists() or path.is_symlink()):
        return []
    claims = read_json(path).get("claims")
    if not isinstance(claims, list):
        raise StoreError(f"{path} is damaged (it has no list of claims); gdlab resume {folder} writes it again")
    return claims


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a results folder, which holds a mapping.

    Raises:
        StoreError: there is none, it can't be read, or it is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"{path} is missing") from None
    except OSError as error:
        raise StoreError(f"{path} can't be read ({error.strerror})") from None
    except RecursionError:
        raise StoreError(f"{path} is damaged (it is nested too deep)") from None
    except ValueError as error:
        raise StoreError(f"{path} is damaged ({error})") from None
    if not isinstance(content, dict):
        raise StoreError(f"{path} is damaged (it holds no mapping)")
    return content


def as_json(content: Mapping[str, Any]) -> str:
    """The text of a JSON file."""
    return json.dumps(content, indent=2) + "\n"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    _write(path, as_json(content))


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
