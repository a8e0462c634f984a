"""Checkpoints of incomplete tiles on disk."""

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
    runs: np.ndarray,
    checkpoint: Checkpoint,
    buffers: dict[str, np.ndarray],
    written: str,
) -> None:
    """Write the checkpoint of a tile atomically.

    Args:
        runs: the runs of the tile that are computed.
        buffers: the records that are not written to the store yet.
        written: a digest of the chunks of the tile that are in the store.
    """
    info = {"segment": checkpoint.segment, "layout": checkpoint.layout._asdict(), "chunks": checkpoint.chunks}
    info["written"] = written
    info["dtypes"] = [leaf.dtype.name for leaf in checkpoint.carry]  # npz files do not keep the dtypes of ml_dtypes
    arrays = {"slots": checkpoint.slots, "runs": runs}
    arrays |= {f"carry.{number}": leaf for number, leaf in enumerate(checkpoint.carry)}
    for kind, named in (("status", checkpoint.status), ("results", checkpoint.results), ("buffers", buffers)):
        arrays |= {f"{kind}.{name}": array for name, array in named.items()}
    path = _path(folder, index, tile)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        np.savez(file, info=np.array(json.dumps(info | {"arrays": sorted(arrays)})), **arrays)  # type: ignore[arg-type]  # its keywords are the arrays' names
    os.replace(partial, path)


def read_checkpoint(
    folder: Path, index: int, tile: slice, runs: np.ndarray
) -> tuple[Checkpoint, dict[str, np.ndarray], str] | None:
    """The checkpoint, buffers and digest that `write_checkpoint` wrote for these runs of a tile.

    None if there is no checkpoint, if it is damaged, or if it belongs to other runs.
    """
    try:
        with _path(folder, index, tile).open("rb") as file, np.load(file) as found:
            arrays = dict(found)
        info = json.loads(str(arrays.pop("info")))
    except Exception:  # the reader of zip files raises errors of many types for a damaged file
        return None
    if sorted(arrays) != info["arrays"] or not np.array_equal(arrays["runs"], runs):
        return None

    def named(kind: str) -> dict[str, np.ndarray]:
        return {n.removeprefix(f"{kind}."): array for n, array in arrays.items() if n.startswith(f"{kind}.")}

    carry = [arrays[f"carry.{number}"].view(dtype) for number, dtype in enumerate(info["dtypes"])]
    layout = Layout(**info["layout"])
    checkpoint = Checkpoint(
        info["segment"], layout, info["chunks"], arrays["slots"], carry, named("status"), named("results")
    )
    return checkpoint, named("buffers"), info["written"]


def remove_checkpoint(folder: Path, index: int, tile: slice) -> None:
    """Remove the checkpoint of a tile, if there is one."""
    _path(folder, index, tile).unlink(missing_ok=True)


def _path(folder: Path, index: int, tile: slice) -> Path:
    return folder / f".checkpoint-{index}-{tile.start}.npz"
