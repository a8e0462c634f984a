"""The landscape figure, and the levels of its contours."""

import numpy as np
import pytest
import xarray
from hypothesis import given
from hypothesis import strategies as st

from gdlab.figures import landscape, rule_styles
from gdlab.figures.levels import levels


def rosenbrock(x, y):
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


@pytest.fixture
def data():
    x, y = np.linspace(-2, 2, 31), np.linspace(-1, 3, 21)
    angle = np.linspace(0, 1, 12)
    path_x = np.stack([-1.5 + 2 * angle, -1.5 + angle])
    path_x[1, 8:] = np.nan
    return xarray.Dataset(
        {
            "loss": (("y", "x"), rosenbrock(x[None], y[:, None])),
            "path_x": (("rule", "point"), path_x),
            "path_y": (("rule", "point"), 2 - np.stack([angle, angle])),
            "path_off_plane": (("rule", "point"), np.full((2, 12), 0.25)),
            "min_x": ("minimum", [1.0]),
            "min_y": ("minimum", [1.0]),
        },
        {"x": x, "y": y, "rule": np.array(["gd", "adam"], object), "lr": ("rule", [1e-3, 0.1])},
        {"plane": "exact", "x_label": "x", "y_label": "y", "loss_label": "loss"},
    )


def test_paths_are_drawn_whole_in_their_rules_colours(data):
    axes = landscape(data).axes[0]
    paths = [line for line in axes.lines if line.get_gid() == "path"]
    styles = rule_styles(data["rule"].values)
    expected = {styles[name].colour: data.sel(rule=name).dropna("point") for name in ("gd", "adam")}
    assert len(paths) == 2
    for path in paths:
        run = expected.pop(path.get_color())
        np.testing.assert_array_equal(path.get_xdata(), run["path_x"])
        np.testing.assert_array_equal(path.get_ydata(), run["path_y"])
    (star,) = [line for line in axes.lines if line.get_gid() == "minimum"]
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (1.0, 1.0)
    assert axes.get_aspect() == 1.0


def test_the_surface_is_not_transposed(data):
    wide = data[["loss"]].isel(y=slice(0, 5)).assign_attrs(data.attrs)
    axes = landscape(wide.transpose("x", "y")).axes[0]
    contours = axes.collections[0]
    chosen = levels(wide["loss"].values, 20)
    np.testing.assert_array_equal(contours.levels, chosen.values)
    # The loss at the points of a contour is its level, up to the error of linear interpolation.
    level, path = contours.levels[12], axes.collections[1].get_paths()[12]
    heights = rosenbrock(*path.vertices.T)
    assert np.median(np.abs(heights / level - 1)) < 0.1
    assert axes.get_ylim() == (wide["y"].values[0], wide["y"].values[-1])


def test_cells_that_are_not_finite_are_hatched_and_counted(data, words):
    data["loss"][:3, :4] = np.nan
    data["loss"][0, 5] = np.inf
    figure = landscape(data)
    assert figure.axes[0].patch.get_hatch()
    assert "13 of 651 points" in words(figure)
    assert "Hatched" not in words(landscape(data.assign(loss=data["loss"].where(np.isfinite(data["loss"]), 1))))


def test_the_caption_gives_the_variance_that_the_plane_captures(data, words):
    text = words(landscape(data.assign_attrs(plane="pca", captured=0.8312)))
    assert "captures 83.1% of the paths' variance" in text
    assert "from a distance of up to 0.25" in text
    assert "captures" not in words(landscape(data))
    assert "random directions" in words(landscape(data.assign_attrs(plane="random")))


def test_the_legend_names_rates_and_runs_that_end_outside(data, words):
    data["path_x"][0, -1] = 1e30
    text = words(landscape(data))
    assert "gd lr 1e-3 (ends outside)" in text
    assert "adam lr 0.1" in text
    data["path_x"][1] = np.nan
    assert "adam no finite point" in words(landscape(data))


def test_without_paths_or_rules_only_the_surface_is_drawn(data):
    figure = landscape(data[["loss"]])
    assert [line for line in figure.axes[0].lines if line.get_gid()] == []
    alone = landscape(data.isel(rule=0, drop=True))
    assert sum(line.get_gid() == "path" for line in alone.axes[0].lines) == 1


@pytest.mark.parametrize("value", [np.nan, 3.0, 0.0])
@pytest.mark.parametrize("width", ["single", "double"])
def test_flat_and_non_finite_surfaces_draw_without_warning(data, value, width):
    data["loss"][:] = value
    landscape(data, width=width).draw_without_rendering()


def test_a_surface_is_needed(data):
    with pytest.raises(ValueError, match="over the dims y and x"):
        landscape(data.isel(x=0))
    with pytest.raises(ValueError, match="at least one step"):
        landscape(data, steps=0)


def test_rosenbrock_is_logarithmic_and_a_bowl_is_not(data, words):
    x, y = data["x"].values, data["y"].values
    assert levels(data["loss"].values, 10).offset is not None
    assert levels(x[None] ** 2 + y[:, None] ** 2 + 5, 10).offset is None
    assert "levels even in log(loss" in words(landscape(data))
    assert "levels even" not in words(landscape(data, log=False))


@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
    count=st.integers(1, 30),
    log=st.sampled_from(["auto", True, False]),
)
def test_levels_rise_and_hold_every_value(values, count, log):
    loss = np.array([*values, np.nan, np.inf])
    chosen = levels(loss, count, log).values
    assert (np.diff(chosen) > 0).all()
    assert chosen[0] <= min(values)
    assert chosen[-1] >= max(values)
    assert len(chosen) in (count + 1, 2)
    assert len(chosen) == count + 1 or max(values) - min(values) <= 1e-300 + 1e-9 * max(map(abs, values))


def test_logarithmic_levels_have_a_constant_ratio_above_their_offset(data):
    chosen = levels(data["loss"].values, 12, True)
    ratios = (chosen.values[1:] - chosen.offset) / (chosen.values[:-1] - chosen.offset)
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-6)
