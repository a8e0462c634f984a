"""Results that are copied from another store instead of being computed again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gdlab.engine.read_store import DamageError, StoreError, read_part


class ReusedRuns(NamedTuple):
    """The reused runs of a group: for each run its index in a group of another store, or -1 if not reused."""

    runs: np.ndarray
    arrays: Mapping[str, Any]  # the zarr arrays of that group, by name
    folder: Path  # of the other store

    def merged(self, name: str, tile: slice, values: np.ndarray, part: slice | None = None) -> np.ndarray:
        """The values of all runs of a tile; `values` holds those of the runs that are not reused.

        `part`: the records that `values` holds, if not all.

        Raises:
            StoreError: the other store has changed.
        """
        source = self.runs[tile]
        merged = np.empty((len(source), *values.shape[1:]), values.dtype)
        merged[source < 0] = values
        if (source >= 0).any():
            wanted = source[source >= 0]
            lowest, highest = int(wanted.min()), int(wanted.max())
            try:
                read = read_part(self.arrays[name], self.folder, slice(lowest, highest + 1), part)
            except DamageError as damage:
                raise StoreError(
                    f"the store {self.folder}, from which runs are reused, has changed: {damage}"
                ) from None
            merged[source >= 0] = read[wanted - lowest]
        return merged
