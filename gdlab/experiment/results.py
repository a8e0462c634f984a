"""Make, read and write a results folder."""

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
# The names of the landscapes, each a part of the store. The registered `of` of a figure is the one that it shows.
LANDSCAPES = (LANDSCAPE, "landscapes", "lines", "spectrum", "curvature")
# The attribute that stores the string coordinates of a part.
WORDS = "words"
# The attribute of a part that stores the digest of its files; the key of the checksum in provenance.json.
DIGEST, CHECKSUM = "gdlab_digest", "checksum"


def make_folder(root: Path, name: str, digest: str, now: datetime, files: Mapping[str, str] | None = None) -> Path:
    """Make a new folder `root/name/YYYYmmdd-HHMMSS-DIGEST` with `files` in it, and point `root/name/latest` to it.

    Raises:
        OSError: the folder or a file can't be made. A folder without all of its files is removed.
    """
    stem = f"{now:%Y%m%d-%H%M%S}-{digest}"
    (root / name).mkdir(parents=True, exist_ok=True)
    for attempt in range(1, 100):
        folder = root / name / (stem if attempt == 1 else f"{stem}-{attempt}")
        try:
            folder.mkdir()
            break
        except FileExistsError:  # another run of the config began within the same second
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
    except OSError:  # a file system without links; `latest` is optional
        return
    os.replace(fresh, folder.parent / "latest")


def find_folder(path: Path) -> Path:
    """The results folder at a path: the path itself, or `latest` in it.

    Raises:
        StoreError: there are no results there.
    """
    for folder in (path, path / "latest"):
        if (folder / PROVENANCE).exists() or (folder / STORE).is_dir():
            return folder
    if not path.exists():
        raise StoreError(f"there is no folder {path}")
    latest = path / "latest"
    if latest.is_symlink() and not latest.exists():
        raise StoreError(f"{latest} points to {os.readlink(latest)}, which does not exist; name a folder in {path}")
    raise StoreError(f"{path} holds no results: there is no {STORE} in it")


def open_results(path: str | Path) -> "xarray.Dataset":
    """The results of `gdlab run` as one Dataset with the dims `rule`, the axes of the sweep, and, in series, `step`.

    `path` is a results folder, or a folder `results/NAME`, of which the latest results are opened.

    Raises:
        gdlab.engine.read_store.StoreError: there are no results, or they are of another version or damaged.
    """
    import xarray

    folder = find_folder(Path(path))
    info = provenance_of(folder)
    data = open_store(folder, finished=info.get("status") == "finished")
    data.attrs |= {key: info[key] for key in ("name", "problem", "size") if key in info}
    limits = info.get("stable_lr", {})
    if limits:
        values = [limits.get(rule, {}).get("lr", np.nan) for rule in data["rule"].values]
        constants = {f"{limit['c']:.3g}/L" for limit in limits.values()}
        label = constants.pop() if len(constants) == 1 else "stability limit"
        data["stable_lr"] = xarray.DataArray(values, dims="rule", attrs={"label": label})
    for metric, direction in info.get("directions", {}).items():
        if metric in data:
            data[metric].attrs["direction"] = direction
    if "loss" in data and info.get("batch_size") is not None:
        data["loss"].attrs["batch_size"] = info["batch_size"]
    for series, layers in info.get("layers", {}).items():
        if series in data:
            data[series].attrs["layers"] = layers
    for series, constants in info.get("stability", {}).items():
        if series in data and constants:
            data[f"stability_{series}"] = ("rule", [constants.get(rule, np.nan) for rule in data["rule"].values])
    return data


def provenance_of(folder: Path) -> dict[str, Any]:
    """The content of provenance.json.

    The checksum does not cover `config_folder`, which may be edited if the files of `code` were moved.

    Raises:
        StoreError: it is missing or damaged.
    """
    try:
        info = read_json(folder / PROVENANCE)
        checksum = info.pop(CHECKSUM, None)
        if checksum != _checksum(info):
            raise StoreError(f"{folder / PROVENANCE} is damaged (its checksum differs)")
    except StoreError as error:
        raise StoreError(
            f"{error}. It can't be made again: restore it from a copy, or run the experiment again with "
            f"gdlab run {folder / CONFIG}. gdlab.engine.read_store.open_store reads the runs in {folder / STORE}"
        ) from None
    return info


def provenance_text(info: Mapping[str, Any]) -> str:
    """The text of provenance.json."""
    return as_json({**info, CHECKSUM: _checksum(info)})


def write_provenance(folder: Path, info: Mapping[str, Any]) -> None:
    """Write provenance.json atomically."""
    _write(folder / PROVENANCE, provenance_text(info))


def _checksum(info: Mapping[str, Any]) -> str:
    checked = {name: value for name, value in info.items() if name != "config_folder"}
    return hashlib.sha256(json.dumps(checked, sort_keys=True).encode()).hexdigest()


def same_config(folder: Path) -> bool:
    """Whether the config in a results folder is unchanged since its runs began.

    Raises:
        StoreError: the provenance, or the config, is missing or damaged.
    """
    info = provenance_of(folder)
    try:
        text = (folder / CONFIG).read_bytes()
    except OSError as error:
        raise StoreError(f"{folder / CONFIG} can't be read ({error.strerror})") from None
    return hashlib.sha256(text).hexdigest() == info["config"]


def refuse_changed(folder: Path) -> Path:
    """Check that the config of a results folder and the files of its `code` are unchanged since its runs began.

    Call this before `gdlab.config.load`, which executes these files.

    Returns:
        The folder that the paths of `code` are relative to.

    Raises:
        StoreError: one of them was changed; or the provenance, or the config, is missing or damaged.
    """
    if not same_config(folder):
        raise StoreError(other_config(folder))
    info = provenance_of(folder)
    code_dir = Path(info["config_folder"])
    for name, digest in info.get("code", {}).items():
        file = code_dir / name
        if file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            raise StoreError(
                f"{file} has changed since the runs of {folder} began, so it is not executed. Restore it, set "
                f"config_folder in {folder / PROVENANCE} to the folder that has it, or run the config again: gdlab run"
            )
    return code_dir


def other_config(folder: Path) -> str:
    """The error message for a config that was changed since its runs began."""
    return (
        f"{folder / CONFIG} was changed after its runs began, so the results are not those of this config. "
        f"Restore it, or run the changed config: gdlab run {folder / CONFIG}"
    )


def write_runs(folder: Path) -> None:
    """Write runs.csv: a row for each run, its axes first (empty for an axis that does not apply to the run)."""
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
    """The values of the axes of the run in a row of runs.csv, counted from 0, without axes that do not apply to it.

    They are read from the store, which has checksums, not from runs.csv.

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
    """Add a part to the store, for example a landscape.

    Its string coordinates are stored as attributes, since zarr 3 has no stable string type.
    """
    import zarr
    from zarr.codecs import Crc32cCodec, ZstdCodec

    words = {str(n): coord for n, coord in data.coords.items() if coord.dtype.kind in "OUT"}
    listed = {name: [list(coord.dims), [str(word) for word in coord.values.ravel()]] for name, coord in words.items()}
    plain = data.drop_vars(list(words)).assign_attrs({WORDS: listed})
    final, partial = folder / STORE / name, folder / f".{name}.partial"
    checked = {variable: {"compressors": [ZstdCodec(level=0), Crc32cCodec()]} for variable in plain.variables}
    plain.to_zarr(partial, mode="w", consolidated=False, encoding=checked, write_empty_chunks=True)
    zarr.open_group(partial, mode="r+").attrs[DIGEST] = _digest_of_part(partial)
    shutil.rmtree(final, ignore_errors=True)
    os.replace(partial, final)


def _digest_of_part(path: Path) -> str:
    """A digest of the names and the contents of all files of a part, without the digest in its attributes."""
    info = json.loads((path / "zarr.json").read_bytes())
    info["attributes"].pop(DIGEST, None)
    digest = hashlib.sha256(json.dumps(info, sort_keys=True).encode())
    for file in sorted(file for file in path.rglob("*") if file.is_file() and file != path / "zarr.json"):
        digest.update(f"{file.relative_to(path)} {hashlib.sha256(file.read_bytes()).hexdigest()} ".encode())
    return digest.hexdigest()


def open_part(folder: Path, name: str = LANDSCAPE) -> "xarray.Dataset":
    """A part that `write_part` added to the results.

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
            raise ValueError("a file is missing or changed")
        data = xarray.open_zarr(path, consolidated=False).load()
        del data.attrs[DIGEST]
        words = {name: (dims, np.array(values, object)) for name, (dims, values) in data.attrs.pop(WORDS).items()}
        return data.assign_coords(words)
    except Exception as error:  # xarray, zarr and its codecs raise many types
        raise StoreError(f"{path} is damaged ({error}); gdlab resume {folder} computes it again") from None


def open_named(folder: Path, name: str) -> "xarray.Dataset":
    """The data that a figure or a check takes: the results of the sweep, or a part of the store.

    Raises:
        StoreError: as `open_results` and `open_part`.
    """
    return open_results(folder) if name == SWEEP else open_part(folder, name)


def all_claims(folder: Path) -> list[dict[str, Any]]:
    """The records in `claims.json`, each a claim with its verdict; empty without checks.

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
    """The content of a JSON file, a mapping.

    Raises:
        StoreError: it is missing, unreadable or damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"{path} is missing") from None
    except OSError as error:
        raise StoreError(f"{path} can't be read ({error.strerror})") from None
    except RecursionError:
        raise StoreError(f"{path} is damaged (its nesting is too deep)") from None
    except ValueError as error:
        raise StoreError(f"{path} is damaged ({error})") from None
    if not isinstance(content, dict):
        raise StoreError(f"{path} is damaged (it is not a mapping)")
    return content


def as_json(content: Mapping[str, Any]) -> str:
    """The text of a JSON file."""
    return json.dumps(content, indent=2) + "\n"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file atomically."""
    _write(path, as_json(content))


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
