"""Distinguishable colours, reproducible files, and no heavy imports."""

import itertools
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdlab.figures import landscape, loss_curves, lr_sensitivity, rule_styles, save, without_notes
from gdlab.figures.lab_figure import LabFigure
from gdlab.figures.style import COLOURS, style
from gdlab.figures.wording import number, numbers

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
SIGHTS = {
    "full": np.eye(3),
    "protanope": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranope": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
}


def linear(colour):
    rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    xyz = np.array(to_xyz) @ np.clip(rgb, 0, 1) / [0.95047, 1, 1.08883]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SIGHTS)
def test_colours_are_apart_for_every_sight(sight):
    seen = [lab(np.array(SIGHTS[sight]) @ linear(colour)) for colour in COLOURS]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 10


def test_colours_are_dark_enough_for_white_paper():
    luminance = [linear(colour) @ [0.2126, 0.7152, 0.0722] for colour in COLOURS]
    assert min(1.05 / (y + 0.05) for y in luminance) >= 3


def test_many_rules_differ_and_in_grey_as_well():
    styles = rule_styles([f"rule {i}" for i in range(77)])
    assert len({(str(look.dash), look.marker) for look in styles.values()}) == 77
    assert styles["rule 3"] == rule_styles([f"rule {i}" for i in range(5)])["rule 3"]


def test_one_rule_has_one_colour_in_every_figure(five):
    paths = five[["final_loss"]].isel(seed=0, lr=slice(0, 3)).rename(lr="point", final_loss="path_x").drop_vars("point")
    surface = paths.assign(path_y=paths["path_x"], loss=(("y", "x"), np.arange(12.0).reshape(3, 4)))
    surface = surface.assign_coords(x=np.arange(4.0), y=np.arange(3.0))
    expected = [look.colour for look in rule_styles(five["rule"].values).values()]
    for figure, gid in ((lr_sensitivity(five), "median"), (loss_curves(five), "median"), (landscape(surface), "path")):
        drawn = [line.get_color() for line in figure.axes[0].lines if line.get_gid() == gid]
        assert sorted(drawn) == sorted(expected)
    (alone,) = [
        line for line in lr_sensitivity(five, select={"rule": "adam"}).axes[0].lines if line.get_gid() == "median"
    ]
    assert alone.get_color() == expected[4]


def test_the_same_figure_gives_the_same_bytes(make, tmp_path):
    five, formats = make(rates=5, steps=2), ("png", "pdf", "svg")
    first = save(lr_sensitivity(five), tmp_path / "one" / "figure", formats, dpi=50)
    second = save(lr_sensitivity(five), tmp_path / "two" / "figure", formats, dpi=50)
    assert [path.name for path in first] == ["figure.png", "figure.pdf", "figure.svg"]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(path.name for path in first)


def test_a_stem_may_contain_a_dot_and_a_failure_leaves_no_file(five, tmp_path, monkeypatch):
    figure = lr_sensitivity(five)
    assert save(figure, tmp_path / "lr-0.1", ["png"], dpi=30) == [tmp_path / "lr-0.1.png"]
    before = (tmp_path / "lr-0.1.png").read_bytes()

    def broken(path, **options):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(figure, "savefig", broken)
    with pytest.raises(OSError, match="disk full"):
        save(figure, tmp_path / "lr-0.1", ["png"])
    assert [path.name for path in tmp_path.iterdir()] == ["lr-0.1.png"]
    assert (tmp_path / "lr-0.1.png").read_bytes() == before
    with pytest.raises(ValueError, match="as gif"):
        save(figure, tmp_path / "x", ["gif"])


def test_settings_come_back_and_the_users_do_not_show():
    with matplotlib.rc_context({"font.size": 31, "axes.grid": False, "lines.linewidth": 9}):
        with style():
            assert matplotlib.rcParams["axes.grid"]
            assert matplotlib.rcParams["font.size"] == 8
        assert matplotlib.rcParams["font.size"] == 31


def test_importing_is_light_and_drawing_needs_no_pyplot():
    script = """
import sys, gdlab.figures
heavy = {"matplotlib", "xarray", "jax", "zarr"} & set(sys.modules)
assert not heavy, heavy
import numpy, xarray
data = xarray.Dataset({"final_loss": ("lr", [2.0, 1.0])}, {"lr": [0.1, 1.0]})
gdlab.figures.lr_sensitivity(data).draw_without_rendering()
assert "matplotlib" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0031623, "3.2e-3"),
        (0.032, "0.032"),
        (0.5, "0.5"),
        (10, "10"),
        (123.0, "123"),
        (999.9, "1000"),
        (1e5, "1e5"),
        (-2e-7, "-2e-7"),
        (0, "0"),
        (0.97, "0.97"),
        (0.999, "0.999"),
        (0.99951, "0.99951"),
        ("all", "all"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_are_short(value, words):
    assert number(value) == words


@given(st.floats(1e-30, 1e30))
def test_a_number_reads_back_to_two_digits(value):
    assert float(number(value)) == pytest.approx(value, rel=0.051)


def test_numbers_are_shown_with_enough_digits_to_differ():
    assert numbers([100.01, 100.02, 100.03]) == ["100.01", "100.02", "100.03"]
    assert numbers([1.0, 2.0]) == ["1", "2"]


@pytest.mark.parametrize("label", [r"$\frac{$", r"$\alpha$", "5$", r"$\nope$"])
def test_any_rule_label_is_drawn_and_valid_mathtext_as_mathtext(make, label, tmp_path):
    data = make(rules=(label, "gd"), rates=3, seeds=1, steps=3)
    for figure in (lr_sensitivity(data), loss_curves(data)):
        assert save(figure, tmp_path / "figure", formats=("png", "svg"))
        (text,) = [text for text in figure.legends[0].get_texts() if text.get_text().startswith(label)]
        assert text.get_parse_math() == (label == r"$\alpha$")


@pytest.mark.parametrize(("text", "is_math"), [("a\n$\\alpha$\nb", True), ("$\\alpha$\n5$", False)])
def test_text_of_several_lines_is_checked_line_by_line(text, is_math, tmp_path, caplog):
    figure = LabFigure()
    drawn = figure.text(0.1, 0.1, text)
    save(figure, tmp_path / "figure", formats=("png",))
    assert drawn.get_parse_math() == is_math
    assert not caplog.records  # matplotlib warns of a glyph for the end of a line


def test_figure_shows_itself_in_a_notebook(five):
    picture = lr_sensitivity(five)._repr_png_()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000


def test_without_notes_removes_title_and_caption(five, words):
    figure = lr_sensitivity(five)
    without_notes(figure)
    text = words(figure)
    assert "mlp on digits" not in text
    assert "runs" not in text
    assert "learning rate" in text
