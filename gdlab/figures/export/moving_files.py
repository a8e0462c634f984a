"""Writers of movie files."""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from gdlab.errors import UserError
from gdlab.figures.paths import INK, START
from gdlab.figures.style import COLOURS, GREY

# Seconds for which the last frame is shown.
REST = 1.5


def write_gif(pictures: Iterator[np.ndarray], path: Path, fps: float) -> None:
    """Write a GIF that repeats, with Pillow. Its durations are multiples of 10 ms."""
    from PIL import Image

    frames = list(pictures)
    # One palette for all frames and no dithering, so that static parts do not flicker and compress well.
    palette = _commonest(frames[:: max(1, len(frames) // 8)] + frames[-1:])
    images = []
    for frame in frames:
        images.append(Image.fromarray(_nearest(frame, palette)))
        images[-1].putpalette(palette.tobytes())
    lasts = [max(10 * round(100 / fps), 10)] * (len(images) - 1) + [round(1000 * REST)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=lasts, loop=0, optimize=False)


def _packed(picture: np.ndarray) -> np.ndarray:
    """Colours [..., 3] as one integer each, red in the highest byte."""
    return picture.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)


def _unpacked(codes: np.ndarray) -> np.ndarray:
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1).astype(np.uint8)


def _commonest(frames: Sequence[np.ndarray]) -> np.ndarray:
    """Up to 256 colours [n, 3]: first the colours of rules, text and marks that occur, then the most frequent ones.

    A short path has few pixels, so a choice by frequency alone could omit the colour of its rule.
    """
    codes, counts = np.unique(np.concatenate([_packed(frame).ravel() for frame in frames]), return_counts=True)
    named = [[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in (*COLOURS, START, INK, GREY)]
    first = np.isin(codes, _packed(np.array(named)))
    return _unpacked(codes[np.lexsort((-counts, ~first))[:256]])


def _nearest(frame: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """The index of the nearest colour of the palette for each pixel, [height, width]."""
    codes, places = np.unique(_packed(frame), return_inverse=True)
    differences = _unpacked(codes)[:, None].astype(np.int32) - palette.astype(np.int32)
    nearest = (differences**2).sum(axis=-1).argmin(axis=1).astype(np.uint8)
    return nearest[places].reshape(frame.shape[:2])


def write_mp4(pictures: Iterator[np.ndarray], path: Path, fps: float) -> None:
    """Write an MP4 (H.264, yuv420p, which all players support) with ffmpeg, without a date in the metadata.

    Raises:
        UserError: ffmpeg is not installed, or it failed.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise UserError(f"{path.suffix} needs ffmpeg, which is not installed: install it, or write a .gif")
    picture = next(pictures)
    size = f"{picture.shape[1]}x{picture.shape[0]}"
    given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", f"{fps:g}", "-i", "-"]
    even = ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white"]  # H.264 with yuv420p needs even sizes
    made = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-fflags", "+bitexact", "-flags:v", "+bitexact"]
    call = [program, "-y", "-loglevel", "error", *given, *even, *made, str(path)]
    with subprocess.Popen(call, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            process.stdin.write(picture.tobytes())
            for picture in pictures:
                process.stdin.write(picture.tobytes())
            for _ in range(round(REST * fps)):
                process.stdin.write(picture.tobytes())
            process.stdin.close()
        except BrokenPipeError:
            pass  # ffmpeg reports the reason on stderr
        said = process.stderr.read().decode(errors="replace").strip()
    if process.returncode:
        raise UserError(f"ffmpeg could not write {path}: {said or f'exit code {process.returncode}'}")


WRITERS: dict[str, Callable[[Iterator[np.ndarray], Path, float], None]] = {".gif": write_gif, ".mp4": write_mp4}
