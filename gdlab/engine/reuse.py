"""Results that are at hand already: those of lanes that another store has."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gdlab.engine.read_store import DamageError, StoreError, read_part


class Known(NamedTuple):
    """What is known of a group: for each of its lanes the lane of another store's group, -1 where it has none."""

    lanes: np.ndarray
    arrays: Mapping[str, Any]  # of that other group, by name: zarr arrays
    folder: Path  # that other store's

    def merged(self, name: str, tile: slice, values: np.ndarray, part: slice | None = None) -> np.ndarray:
        """The values of all lanes of a tile: those given are of the lanes that are not known. `part`: of the records.

        Raises:
            StoreError: the other store is no longer as it was.
        """
        source = self.lanes[tile]
        whole = np.empty((len(source), *values.shape[1:]), values.dtype)
        whole[source < 0] = values
        if (source >= 0).any():
            wanted = source[source >= 0]
            lowest, highest = int(wanted.min()), int(wanted.max())
            try:
                read = read_part(self.arrays[name], self.folder, slice(lowest, highest + 1), part)
            except DamageError as damage:
                raise StoreError(f"{self.folder}, whose runs were being taken over, has changed: {damage}") from None
            whole[source >= 0] = read[wanted - lowest]
        return whole
