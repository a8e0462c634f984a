"""Results that an earlier folder of the same experiment has, so that they need not be computed again."""

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
    """What is at hand in a folder: for each group, by number, its known lanes."""

    folder: Path
    known: dict[int, ReusedRuns]
    note: str  # a line that says so

    @staticmethod
    def find(home: Path, identity: str, groups: Sequence[Group]) -> "Earlier | None":
        """The folder in `home` of this identity that has the most of the groups' lanes; None where none has any."""
        folders = [told.parent for told in home.glob(f"*/{results.PROVENANCE}") if not told.parent.is_symlink()]
        alike = [folder for folder in folders if _identity(folder) == identity]
        promised: dict[Path, int] = {}
        best = None
        # What a ledger promises is looked at before the results are, which takes longer; the newest first.
        for folder in sorted(alike, reverse=True):
            promised[folder] = _count(_known(folder, groups, check=False))
            if promised[folder] == _size(groups):
                break  # no other has more
        for folder in sorted(promised, key=lambda folder: (promised[folder], folder.name), reverse=True):
            if best is not None and promised[folder] <= _count(best.known):
                break
            found = Earlier.of(folder, groups)
            if found is not None and (best is None or _count(found.known) > _count(best.known)):
                best = found
        return best

    @staticmethod
    def of(folder: Path, groups: Sequence[Group]) -> "Earlier | None":
        """What a folder has of the groups, as far as it is whole; None where that is nothing."""
        known = _known(folder, groups, check=True)
        if not known:
            return None
        note = f"{_count(known):,} of {_size(groups):,} runs were taken from {folder}; --fresh runs them all"
        return Earlier(folder, known, note)


def _identity(folder: Path) -> str | None:
    try:
        return results.provenance_of(folder).get("identity")
    except StoreError:
        return None


def _size(groups: Sequence[Group]) -> int:
    return sum(group.size for group in groups)


def _count(known: Mapping[int, ReusedRuns]) -> int:
    return sum(int((one.runs >= 0).sum()) for one in known.values())


def _known(folder: Path, groups: Sequence[Group], check: bool) -> dict[int, ReusedRuns]:
    """For each group of which a folder has lanes, where they are; with `check`, lanes of sound tiles only."""
    try:
        root, ledger = open_root(folder), Manifest(folder)
    except StoreError:  # of another version, say: nothing of use
        return {}
    known = {}
    for index in ledger.groups:
        frame = checked_metadata(folder, root, ledger, index)
        if frame is None:
            continue
        for number, group in enumerate(groups):
            if not _alike(frame, group):
                continue
            arrays = {name: root[name_of(index)][name] for name in frame.arrays}
            whole = np.zeros(frame.runs, bool)
            for tile in ledger.tiles(index):
                whole[tile] = not check or _sound(
                    arrays, folder, tile, root.attrs["space"], ledger.chunk_digest(index, tile)
                )
            lanes = _same({name: frame.columns[name] for name in group.columns}, group.columns, whole)
            if (lanes >= 0).any():
                known[number] = ReusedRuns(lanes, arrays, folder)
    return known


def _alike(frame: GroupMetadata, group: Group) -> bool:
    """Whether the lanes of a frame's group are evaluated as those of a group are."""
    static = {name: to_json(value) for name, value in group.static.items()}
    alike = as_text(frame.attributes["static"]) == as_text(static)
    alike = alike and frame.attributes["coordinates"].split() == list(group.columns)
    return alike and frame.attributes["program"] == program_of(group)


def _sound(arrays: Mapping[str, Any], folder: Path, tile: slice, space: Any, chunks: str) -> bool:
    try:
        check_tile(arrays, folder, tile, space, chunks)
    except DamageError:
        return False
    return True


def _same(theirs: Mapping[str, np.ndarray], ours: Mapping[str, np.ndarray], whole: np.ndarray) -> np.ndarray:
    """For each of our lanes the lane of theirs that is whole and has the same values; -1 where there is none."""
    keys = _rows(theirs)
    of = {key: lane for lane, key in enumerate(keys) if whole[lane]}
    return np.array([of.get(key, -1) for key in _rows(ours)])


def _rows(columns: Mapping[str, np.ndarray]) -> list[tuple[Any, ...]]:
    """The values of each lane, as the programs see them: their dtype and their bits."""
    seen = [traced_dtype(column) for column in columns.values()]
    kinds = tuple(column.dtype.kind for column in seen)
    return [(kinds, *row) for row in zip(*(bits(column).tolist() for column in seen), strict=True)] or [()]
