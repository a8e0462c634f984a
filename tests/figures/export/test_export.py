"""Exported files, read back with readers that are written from the specifications of the formats."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import xarray

from gdlab.errors import SelectionError, UserError
from gdlab.figures import rule_styles
from gdlab.figures.export import to_movie, to_page, to_vtk
from gdlab.figures.export.moving_files import REST, write_gif


def rosenbrock(x, y):
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


@pytest.fixture
def data():
    """Rosenbrock's function on a grid that is not square, with a hole, and two paths, of which one crosses the hole."""
    x, y = np.linspace(-2, 2, 17), np.linspace(-1, 3, 9)
    loss = rosenbrock(x[None], y[:, None])
    loss[4:6, 8:10] = np.nan
    loss[0, 0] = np.inf
    along = np.linspace(0, 1, 11)
    path_x, path_y = np.stack([-1.5 + 3 * along, -1.5 + along]), np.stack([1.2 + 0 * along, 2 - along])
    path_x[1, 8:] = np.nan
    return xarray.Dataset(
        {
            "loss": (("y", "x"), loss),
            "rank": (("y", "x"), np.arange(153.0).reshape(9, 17)),
            "path_x": (("rule", "point"), path_x),
            "path_y": (("rule", "point"), path_y),
            "path_plane_loss": (("rule", "point"), rosenbrock(path_x, path_y)),
            "min_x": ("minimum", [1.0]),
            "min_y": ("minimum", [1.0]),
        },
        {"x": x, "y": y, "rule": np.array(["gd", "Adam (λ)"], object), "lr": ("rule", [1e-3, 0.1])},
        {"plane": "exact", "name": "valleys", "problem": "rosenbrock"},
    ).assign_coords(path_step=("point", 5 * np.arange(11)))


def read_vtk(path):
    """Points, cells and columns of a legacy VTK file of polygons or lines."""
    lines = path.read_text("ascii").splitlines()
    assert lines[0] == "# vtk DataFile Version 3.0"
    assert lines[2:4] == ["ASCII", "DATASET POLYDATA"]
    words = iter(" ".join(lines[4:]).split())
    found = {"title": lines[1]}
    count = 0
    for word in words:
        if word == "POINTS":
            number, _ = int(next(words)), next(words)
            found["points"] = np.array([[float(next(words)) for _ in range(3)] for _ in range(number)])
        elif word in ("POLYGONS", "LINES"):
            number, size = int(next(words)), int(next(words))
            found[word] = [[int(next(words)) for _ in range(int(next(words)))] for _ in range(number)]
            assert size == sum(len(cell) + 1 for cell in found[word])
        elif word in ("POINT_DATA", "CELL_DATA"):
            count = int(next(words))
        else:
            assert word == "SCALARS"
            name, kind, width, table, which = (next(words) for _ in range(5))
            assert (width, table, which) == ("1", "LOOKUP_TABLE", "default")
            found[name] = np.array([float(next(words)) for _ in range(count)])
            assert kind == ("double" if name in ("loss", "rank") else "int")
    return found


@pytest.mark.smoke
def test_the_surface_of_a_vtk_file_has_exactly_the_finite_cells(data, tmp_path):
    surface, _ = to_vtk(data, tmp_path / "deep" / "land.vtk", log=False, height=0.25)
    found = read_vtk(surface)
    x, y = found["points"][:, 0], found["points"][:, 1]
    np.testing.assert_array_equal(found["loss"], rosenbrock(x, y))
    np.testing.assert_array_equal(found["rank"], 17 * (y + 1) / 0.5 + (x + 2) / 0.25)
    low, high = found["loss"].min(), found["loss"].max()
    np.testing.assert_allclose(found["points"][:, 2], 0.25 * 4 * (found["loss"] - low) / (high - low))
    finite = np.isfinite(data["loss"].values)
    corners = np.stack([finite[:-1, :-1], finite[1:, :-1], finite[:-1, 1:], finite[1:, 1:]])
    assert len(found["POLYGONS"]) == corners.all(axis=0).sum()
    for cell in found["POLYGONS"]:
        px, py = x[cell], y[cell]
        area = 0.5 * np.sum(px * np.roll(py, -1) - py * np.roll(px, -1))  # the shoelace: positive, anticlockwise
        assert area == pytest.approx(0.25 * 0.5)
    assert found["title"] == "gdlab: valleys rosenbrock; 5 of 153 points not finite, left out"


def test_paths_of_a_vtk_file_lie_on_the_surface_and_break_at_its_holes(data, tmp_path):
    _, lines = to_vtk(data, tmp_path / "land.vtk")
    assert lines.name == "land-paths.vtk"
    found = read_vtk(lines)
    assert found["run"].tolist() == [0, 0, 1]
    assert found["rule"].tolist() == [0, 0, 1]
    assert found["title"].endswith("rules: gd, Adam (?)")
    x, y = found["points"][:, 0], found["points"][:, 1]
    np.testing.assert_array_equal(found["loss"], rosenbrock(x, y))
    first, second, third = found["LINES"]
    assert np.diff(found["point"][first]).tolist() == [1] * (len(first) - 1)
    assert found["point"][second][0] > found["point"][first][-1] + 1
    np.testing.assert_array_equal(x[third], data["path_x"].values[1, :8])


def test_a_failed_write_leaves_no_file(data, tmp_path):
    with pytest.raises(SelectionError, match="no cell of the landscape is finite"):
        to_vtk(data.assign(loss=data["loss"] * np.nan), tmp_path / "land.vtk")
    with pytest.raises(SelectionError, match=r"end in \.vtk"):
        to_vtk(data, tmp_path / "land.vts")
    with pytest.raises(SelectionError, match="over the dims y and x"):
        to_movie(data.isel(x=0), tmp_path / "land.gif")
    assert not list(tmp_path.iterdir())
    (alone,) = to_vtk(data[["loss"]], tmp_path / "land.vtk")
    assert [path.name for path in tmp_path.iterdir()] == [alone.name]


def traces_of(html):
    """The traces and the layout of the plotly figure in a page."""
    (call,) = re.findall(r'Plotly\.newPlot\(\s*"landscape",\s*(\[.*\]),\s*(\{.*\}),\s*\{.*?\}\s*\)', html)
    return json.loads(call[0]), json.loads(call[1])


@pytest.mark.smoke
def test_a_page_is_self_contained(data, tmp_path):
    pytest.importorskip("plotly")
    html = to_page(data, tmp_path / "page.html").read_text("utf-8")
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=", html)
    assert len(html) > 1_000_000  # plotly's own code
    traces, layout = traces_of(html)
    surface, paths = traces[0], [trace for trace in traces if trace.get("mode") == "lines"]
    assert surface["type"] == "surface"
    assert [path["name"] for path in paths] == ["gd  lr 1e-3", "Adam (λ)  lr 0.1"]
    assert [path["line"]["color"] for path in paths] == [
        rule_styles(data["rule"].values)[name].colour for name in data["rule"].values
    ]
    assert layout["title"]["text"] == "valleys · rosenbrock"
    assert "Left out: loss not finite, 5 of 153 points." in layout["annotations"][0]["text"]
    again = to_page(data, tmp_path / "again.html").read_text("utf-8")
    assert again == html


def test_without_plotly_the_error_says_how_to_install_it(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly", None)
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(UserError, match=r'pip install "gdlab\[page\]"'):
        to_page(data, tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def frames_of(path):
    from PIL import Image

    with Image.open(path) as image:
        frames, lasts = [], []
        for number in range(image.n_frames):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGB")))
            lasts.append(image.info["duration"])
    return np.stack(frames), lasts


def coloured(frame, rule, names=("gd", "Adam (λ)")):
    """How many pixels have a rule's colour."""
    colour = rule_styles(names)[rule].colour
    return int((frame == [int(colour[i : i + 2], 16) for i in (1, 3, 5)]).all(axis=-1).sum())


def test_only_paths_change_in_a_movie(data, tmp_path):
    frames, lasts = frames_of(to_movie(data, tmp_path / "land.gif", frames=6, fps=10, dpi=60))
    assert len(frames) == 6
    assert lasts == [100] * 5 + [1000 * REST]
    ink = [coloured(frame, "Adam (λ)") for frame in frames]
    assert ink[1] < ink[-1]
    changed = (frames != frames[0]).any(axis=(0, -1))
    assert changed.any()
    columns = np.flatnonzero(changed.any(axis=0))
    # The legend and the colour bar, in the right third, do not move.
    assert columns.max() < 0.66 * frames.shape[2]
    last = to_movie(data, tmp_path / "one.gif", frames=1, dpi=60)
    np.testing.assert_array_equal(coloured(frames_of(last)[0][0], "Adam (λ)"), ink[-1])


def test_a_movie_of_the_same_data_has_the_same_bytes(data, tmp_path):
    first = to_movie(data, tmp_path / "one.gif", frames=3, dpi=40).read_bytes()
    assert to_movie(data, tmp_path / "two.gif", frames=3, dpi=40).read_bytes() == first


def test_a_gif_keeps_the_colour_of_a_rule_with_few_pixels(tmp_path):
    from PIL import Image

    picture = np.repeat(np.arange(100 * 100, dtype=np.int32), 4).reshape(100, 400)
    picture = np.stack([picture >> 8, picture & 255, 0 * picture], axis=-1).astype(np.uint8)
    colours = [rule_styles(range(8))[str(i)].colour for i in range(8)]
    rgb = [tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5)) for colour in colours]
    for place, colour in enumerate(rgb):
        picture[0, place] = colour
    write_gif(iter([picture, picture]), tmp_path / "few.gif", 10)
    with Image.open(tmp_path / "few.gif") as image:
        shown = np.asarray(image.convert("RGB"))
    assert [tuple(shown[0, place].tolist()) for place in range(8)] == rgb


def test_a_plane_that_moves_has_a_frame_for_each_surface(tmp_path):
    at = np.linspace(-1, 1, 9)
    loss = np.stack([(at[None] - shift) ** 2 + at[:, None] ** 2 for shift in (-0.5, 0.0, 0.5)])
    data = xarray.Dataset({"loss": (("frame", "y", "x"), loss)}, {"frame": [0, 10, 20], "x": at, "y": at})
    whole, _ = frames_of(to_movie(data, tmp_path / "one.gif", dpi=40))
    assert len(whole) == 3
    assert (whole[0] != whole[2]).any()
    several = [data.isel(frame=i).assign_attrs(step=10 * i).drop_vars("frame") for i in range(3)]
    apart, _ = frames_of(to_movie(several, tmp_path / "two.gif", dpi=40))
    np.testing.assert_array_equal(apart, whole)
    moved = [one.assign_coords(x=at + i) for i, one in enumerate(several)]
    assert len(frames_of(to_movie(moved, tmp_path / "three.gif", dpi=40))[0]) == 3


def test_to_movie_refuses_data_without_frames(data, tmp_path):
    with pytest.raises(SelectionError, match="a path of at least two points"):
        to_movie(data[["loss"]], tmp_path / "land.gif")
    with pytest.raises(SelectionError, match="at least one landscape"):
        to_movie([], tmp_path / "land.gif")
    with pytest.raises(SelectionError, match=r"\.gif or \.mp4"):
        to_movie(data, tmp_path / "land.avi")
    with pytest.raises(SelectionError, match="fps=0"):
        to_movie(data, tmp_path / "land.gif", fps=0)


def test_without_ffmpeg_the_error_says_what_to_do(data, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"needs ffmpeg.*write a \.gif"):
        to_movie(data, tmp_path / "land.mp4", frames=2, dpi=40)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="there is no ffmpeg")
def test_an_mp4_plays_everywhere(data, tmp_path):
    path = to_movie(data, tmp_path / "land.mp4", frames=4, fps=10, dpi=41)
    probe = ["ffprobe", "-v", "error", "-show_streams", "-count_frames", "-of", "json", str(path)]
    (stream,) = json.loads(subprocess.run(probe, check=True, capture_output=True).stdout)["streams"]
    assert (stream["codec_name"], stream["pix_fmt"]) == ("h264", "yuv420p")
    assert int(stream["nb_read_frames"]) == 4 + round(10 * REST)


def test_the_error_message_of_ffmpeg_is_reported(data, tmp_path, monkeypatch):
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec 0<&-\necho 'no such codec' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    with pytest.raises(UserError, match="no such codec"):
        to_movie(data, tmp_path / "land.mp4", frames=4, dpi=60)
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_importing_is_light():
    script = """
import sys, gdlab.figures.export
heavy = {"matplotlib", "plotly", "PIL", "xarray", "jax"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, capture_output=True, text=True)
