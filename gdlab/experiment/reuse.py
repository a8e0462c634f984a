"""Find results in an earlier folder of the same experiment that can be reused."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gdlab.engine.group_metadata import GroupMetadata, as_text, name_of, program_of, to_json
from gdlab.engine.identity import bits
from gdlab.engine.manifest import Manifest
from gdlab.engine.plan import Group, traced_dtype
from gdlab.engine.read_store import DamageError, StoreError, check_tile, checked_metadata, open_root
from gdlab.engine.reuse import ReusedRuns
from gdlab.experiment import results


class Earlier(NamedTuple):
    """An earlier results folder, and its runs that can be reused, by index of the planned group."""

    folder: Path
    reused: dict[int, ReusedRuns]
    note: str  # a notice for the user

    @staticmethod
    def find(parent: Path, identity: str, groups: Sequence[Group]) -> "Earlier | None":
        """The folder in `parent` with this identity that has the most undamaged runs of the groups, or None."""
        folders = [file.parent for file in parent.glob(f"*/{results.PROVENANCE}") if not file.parent.is_symlink()]
        alike = [folder for folder in folders if _identity(folder) == identity]
        counted: dict[Path, int] = {}
        best = None
        # First count the runs in the manifests, which is faster than checking the results. Newer folders come first.
        for folder in sorted(alike, reverse=True):
            counted[folder] = _count(_reused(folder, groups, check=False))
            if counted[folder] == _size(groups):
                break  # no other folder has more
        for folder in sorted(counted, key=lambda folder: (counted[folder], folder.name), reverse=True):
            if best is not None and counted[folder] <= _count(best.reused):
                break
            found = Earlier.of(folder, groups)
            if found is not None and (best is None or _count(found.reused) > _count(best.reused)):
                best = found
        return best

    @staticmethod
    def of(folder: Path, groups: Sequence[Group]) -> "Earlier | None":
        """The undamaged runs of the groups in a folder; None if there are none."""
        reused = _reused(folder, groups, check=True)
        if not reused:
            return None
        note = f"{_count(reused):,} of {_size(groups):,} runs were reused from {folder}; --fresh runs them all"
        return Earlier(folder, reused, note)


def _identity(folder: Path) -> str | None:
    try:
        return results.provenance_of(folder).get("identity")
    except StoreError:
        return None


def _size(groups: Sequence[Group]) -> int:
    return sum(group.size for group in groups)


def _count(reused: Mapping[int, ReusedRuns]) -> int:
    return sum(int((group.runs >= 0).sum()) for group in reused.values())


def _reused(folder: Path, groups: Sequence[Group], check: bool) -> dict[int, ReusedRuns]:
    """The runs of the groups that a folder has, by index of the group; with `check`, only runs in undamaged tiles."""
    try:
        root, manifest = open_root(folder), Manifest(folder)
    except StoreError:  # for example of another version
        return {}
    found = {}
    for index in manifest.groups:
        metadata = checked_metadata(folder, root, manifest, index)
        if metadata is None:
            continue
        for number, group in enumerate(groups):
            if not _alike(metadata, group):
                continue
            arrays = {name: root[name_of(index)][name] for name in metadata.arrays}
            whole = np.zeros(metadata.runs, bool)
            for tile in manifest.tiles(index):
                whole[tile] = not check or _sound(
                    arrays, folder, tile, root.attrs["space"], manifest.chunk_digest(index, tile)
                )
            runs = _same({name: metadata.columns[name] for name in group.columns}, group.columns, whole)
            if (runs >= 0).any():
                found[number] = ReusedRuns(runs, arrays, folder)
    return found


def _alike(metadata: GroupMetadata, group: Group) -> bool:
    """Whether a stored group has the static values, the axes and the program of a planned group."""
    static = {name: to_json(value) for name, value in group.static.items()}
    alike = as_text(metadata.attributes["static"]) == as_text(static)
    alike = alike and metadata.attributes["coordinates"].split() == list(group.columns)
    return alike and metadata.attributes["program"] == program_of(group)


def _sound(arrays: Mapping[str, Any], folder: Path, tile: slice, space: Any, chunks: str) -> bool:
    try:
        check_tile(arrays, folder, tile, space, chunks)
    except DamageError:
        return False
    return True


def _same(theirs: Mapping[str, np.ndarray], ours: Mapping[str, np.ndarray], whole: np.ndarray) -> np.ndarray:
    """For each run in `ours`, the index of the undamaged run in `theirs` with the same values; -1 if there is none.

    `whole` is true for the undamaged runs of `theirs`.
    """
    keys = _rows(theirs)
    of = {key: run for run, key in enumerate(keys) if whole[run]}
    return np.array([of.get(key, -1) for key in _rows(ours)])


def _rows(columns: Mapping[str, np.ndarray]) -> list[tuple[Any, ...]]:
    """A key for each run, equal for runs with equal values in the program: the kinds of the dtypes, and the bits."""
    seen = [traced_dtype(column) for column in columns.values()]
    kinds = tuple(column.dtype.kind for column in seen)
    return [(kinds, *row) for row in zip(*(bits(column).tolist() for column in seen), strict=True)] or [()]
