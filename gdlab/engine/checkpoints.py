"""Tiles that are not whole yet, on disk: what is needed to go on with them."""

import json
import os
from pathlib import Path

import numpy as np

from gdlab.engine.layout import Layout
from gdlab.engine.tile_run import Checkpoint


def write_checkpoint(
    folder: Path,
    index: int,
    tile: slice,
    lanes: np.ndarray,
    snapshot: Checkpoint,
    buffers: dict[str, np.ndarray],
    written: str,
) -> None:
    """Keep a snapshot of those lanes of a tile that run and the records that wait for it, whole or not at all.

    `written`: a digest of the chunks of the tile that are on disk.
    """
    told = {"segment": snapshot.segment, "layout": snapshot.layout._asdict(), "chunks": snapshot.chunks}
    told["written"] = written
    told["dtypes"] = [leaf.dtype.name for leaf in snapshot.carry]  # the format does not know those that NumPy does not
    arrays = {"slots": snapshot.slots, "lanes": lanes}
    arrays |= {f"carry.{number}": leaf for number, leaf in enumerate(snapshot.carry)}
    for kind, named in (("status", snapshot.status), ("results", snapshot.results), ("buffers", buffers)):
        arrays |= {f"{kind}.{name}": array for name, array in named.items()}
    path = _path(folder, index, tile)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        np.savez(file, told=np.array(json.dumps(told | {"arrays": sorted(arrays)})), **arrays)  # type: ignore[arg-type]  # its keywords are the arrays' names
    os.replace(partial, path)


def read_checkpoint(
    folder: Path, index: int, tile: slice, lanes: np.ndarray
) -> tuple[Checkpoint, dict[str, np.ndarray], str] | None:
    """What `write_checkpoint` kept of a tile, if of these lanes; None where there is none, or it is damaged."""
    try:
        with _path(folder, index, tile).open("rb") as file, np.load(file) as found:
            arrays = dict(found)
        told = json.loads(str(arrays.pop("told")))
    except Exception:  # there is none; or it is damaged, and the reader of zip files raises of many kinds
        return None
    if sorted(arrays) != told["arrays"] or not np.array_equal(arrays["lanes"], lanes):
        return None

    def named(kind: str) -> dict[str, np.ndarray]:
        return {n.removeprefix(f"{kind}."): array for n, array in arrays.items() if n.startswith(f"{kind}.")}

    carry = [arrays[f"carry.{number}"].view(dtype) for number, dtype in enumerate(told["dtypes"])]
    layout = Layout(**told["layout"])
    snapshot = Checkpoint(
        told["segment"], layout, told["chunks"], arrays["slots"], carry, named("status"), named("results")
    )
    return snapshot, named("buffers"), told["written"]


def remove_checkpoint(folder: Path, index: int, tile: slice) -> None:
    """Forget the snapshot of a tile, if there is one."""
    _path(folder, index, tile).unlink(missing_ok=True)


def _path(folder: Path, index: int, tile: slice) -> Path:
    return folder / f".snapshot-{index}-{tile.start}.npz"
