"""Movies of landscapes: growing paths, or a plane that moves with a run."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from gdlab.atomic_file import whole_file
from gdlab.errors import SelectionError
from gdlab.figures.export.moving import Scene, pictures
from gdlab.figures.export.moving_files import WRITERS
from gdlab.figures.levels import levels
from gdlab.figures.paths import paths
from gdlab.figures.plane import surface_of, with_rules
from gdlab.figures.style import Width, style

if TYPE_CHECKING:
    import xarray

FRAME = "frame"


def to_movie(
    data: "xarray.Dataset | Sequence[xarray.Dataset]",
    path: str | Path,
    *,
    frames: int = 100,
    fps: float = 20,
    steps: int = 20,
    log: Literal["auto"] | bool = "auto",
    width: Width = "double",
    dpi: int = 100,
) -> Path:
    """Write a movie of a landscape: a GIF, or an MP4 where ffmpeg is installed.

    On one plane, the paths grow from their starts. With a surface for each frame (for example a plane centred on each
    step of a run), each frame shows its surface; the same loss has the same colour in all frames. A GIF has the same
    bytes for the same data and the same versions of matplotlib and Pillow.

    Args:
        data: one of: a Dataset as for the figure `landscape`, with paths; a Dataset with `loss` over (frame, y, x),
            whose coordinate `frame` is the step; a sequence of landscapes, one for each frame, which may differ in x
            and y, with the optional attribute `step`.
        path: the file to write, with the extension .gif or .mp4.
        frames: the maximum number of frames on a fixed plane, evenly spaced along the paths.
        fps: frames per second.
        steps, log, width: as for the figure `landscape`.
        dpi: pixels per inch; a double column is 7 inches wide.

    Raises:
        SelectionError: an extension other than .gif and .mp4; no surface; no path of two points or more and no frames.
        UserError: an MP4 without ffmpeg installed.
        OSError: the folder can't be written.
    """
    path = Path(path)
    if path.suffix not in WRITERS:
        raise SelectionError(f"the name of a movie must end in {' or '.join(WRITERS)}: {path}")
    if frames < 1 or not fps > 0:
        raise SelectionError(f"frames must be at least 1 and fps above 0, not frames={frames} and fps={fps}")
    scenes = list(_scenes(data, frames))
    chosen = levels(np.concatenate([surface_of(scene).values.ravel() for scene, _ in scenes]), steps, log)
    with style(), whole_file(path) as partial:
        WRITERS[path.suffix](pictures(scenes, chosen, width, dpi), partial, fps)
    return path


def _scenes(data: "xarray.Dataset | Sequence[xarray.Dataset]", frames: int) -> Iterator[Scene]:
    """The data and the title of each frame."""
    if isinstance(data, Sequence):
        if not data:
            raise SelectionError("a movie needs at least one landscape, but the sequence is empty")
        yield from (Scene(with_rules(one), f"step {one.attrs['step']}" if "step" in one.attrs else "") for one in data)
        return
    if FRAME in data.dims:
        named = data[FRAME].values if FRAME in data.coords else range(data.sizes[FRAME])
        yield from (Scene(with_rules(data.isel({FRAME: i})), f"step {name}") for i, name in enumerate(named))
        return
    data = with_rules(data)
    last = max((path.points[-1] for path in paths(data)), default=0)
    if not last:
        raise SelectionError(
            "a movie needs a path of at least two points or a dim frame, but the landscape has neither"
        )
    steps = data["path_step"].values if "path_step" in data.variables else np.arange(data.sizes["point"])
    for point in np.unique(np.linspace(0, last, frames).round().astype(int)) if frames > 1 else [last]:
        yield Scene(data.isel(point=slice(0, point + 1)), f"step {steps[point]}")
