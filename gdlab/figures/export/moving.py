"""The frames of a movie, drawn with one figure in which each frame redraws only the moving parts."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gdlab.figures.frame import Frame, frame, surround
from gdlab.figures.levels import Levels
from gdlab.figures.paths import draw_paths, handles
from gdlab.figures.plane import colour_bar, contours, place, plane_notes, rule_labels, surface_of
from gdlab.figures.style import Width, inches, rule_styles

if TYPE_CHECKING:
    import xarray


class Scene(NamedTuple):
    """The data and the title of a frame."""

    data: "xarray.Dataset"
    words: str


def pictures(scenes: Sequence[Scene], chosen: Levels, width: Width, dpi: int) -> Iterator[np.ndarray]:
    """Each frame as an image [height, width, 3] of bytes. Legend, caption and layout are as in the last frame."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    whole = scenes[-1].data
    styles = rule_styles(rule_labels(whole))
    made = frame(1, width, handles(whole, styles), panel=0.46 * inches(width) if width == "double" else 2.2)
    (axes,) = made.panels
    made.figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(made.figure)
    labels = _ground(made, whole, chosen, bar=True)
    surround(made, whole, width, **labels, sentences=plane_notes(whole, surface_of(whole).values))
    axes.set_title(max((scene.words for scene in scenes), key=len) or " ")
    canvas.draw()
    made.figure.set_layout_engine("none")  # the layout stays fixed from here on
    shown, background = None, None
    for scene, words in scenes:
        surface = surface_of(scene)
        if shown is None or not surface.identical(shown):
            axes.clear()
            axes.set(**_ground(made, scene, chosen, bar=False))
            canvas.draw()
            shown, background = surface, canvas.copy_from_bbox(made.figure.bbox)
            still = set(axes.get_children())
        canvas.restore_region(background)
        draw_paths(axes, scene, styles)
        moving = sorted(set(axes.get_children()) - still, key=lambda artist: artist.get_zorder())
        title = axes.set_title(words)
        for artist in (*moving, title):
            axes.draw_artist(artist)
        yield np.asarray(canvas.buffer_rgba())[..., :3].copy()
        for artist in moving:
            artist.remove()
        title.set_text("")


def _ground(made: Frame, scene: "xarray.Dataset", chosen: Levels, bar: bool) -> dict[str, str]:
    (axes,) = made.panels
    surface = surface_of(scene)
    filled = contours(axes, surface, chosen)
    if bar and filled is not None:
        colour_bar(made.figure, axes, filled, chosen, str(scene.attrs.get("loss_label", "loss")))
    return place(axes, scene, surface)
