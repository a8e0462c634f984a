"""Losses as heights, and the three-dimensional figure."""

import numpy as np
import pytest
import xarray
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from gdlab.errors import SelectionError
from gdlab.figures import rule_styles, surface_3d
from gdlab.figures.plane import with_rules
from gdlab.figures.relief import lifted, on_surface, relief
from gdlab.figures.relief_mesh import visible


def landscape_of(loss, x, y, **attrs):
    return xarray.Dataset({"loss": (("y", "x"), loss)}, {"x": x, "y": y}, attrs)


@pytest.fixture
def bowl():
    """x^2 + 4 y^2 on a grid that is neither square nor centred, a hole in one corner, two runs of two rules."""
    x, y = np.linspace(-1, 2, 31), np.linspace(-1, 1, 17)
    loss = x[None] ** 2 + 4 * y[:, None] ** 2
    loss[:3, -4:] = np.nan
    loss[0, 0] = np.inf
    at = np.linspace(0, 1, 9)
    path_x = np.stack([-0.9 + at, 1.9 - 3 * at])
    path_x[1, 6:] = np.nan
    data = landscape_of(loss, x, y, plane="exact", x_label="x", y_label="y", loss_label="loss")
    data["path_x"] = ("rule", "point"), path_x
    data["path_y"] = ("rule", "point"), np.stack([at - 0.5, 0.5 * at])
    return data.assign_coords(rule=np.array(["gd", "adam"], object))


def test_heights_are_even_in_the_loss_or_in_its_logarithm():
    loss = np.array([1.0, 2.0, 5.0])
    np.testing.assert_allclose(relief(loss, False).height(loss), [0, 0.25, 1])
    tall = np.array([1.0, 1.5, 2.0, 1e5])
    found = relief(tall, True)
    shifted = np.log(tall - found.offset)
    np.testing.assert_allclose(found.height(tall), (shifted - shifted[0]) / (shifted[-1] - shifted[0]), atol=1e-12)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20), st.booleans())
def test_heights_read_back_as_losses(values, log):
    loss = np.array(values)
    found = relief(np.array([*values, np.nan, np.inf]), log)
    np.testing.assert_allclose(found.loss(found.height(loss)), loss, rtol=1e-6, atol=1e-6 * (np.ptp(loss) + 1e-6))
    assert (found.height(loss) >= -1e-9).all()
    assert (found.height(loss) <= 1 + 1e-9).all()


def test_points_without_a_height_are_nan():
    found = relief(np.array([1.0, 2.0, 1e4]), True)
    assert np.isnan(found.height(np.array([np.nan, np.inf, -np.inf, found.offset]))).all()


def test_between_its_points_a_surface_is_bilinear_as_scipy_has_it(bowl):
    surface = bowl["loss"].where(np.isfinite(bowl["loss"]))
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1.3, 2.3, 400), rng.uniform(-1.2, 1.2, 400)
    oracle = RegularGridInterpolator(
        (surface["y"].values, surface["x"].values), surface.values, bounds_error=False, fill_value=np.nan
    )
    found = on_surface(bowl["loss"], x, y)
    np.testing.assert_allclose(found, oracle(np.stack([y, x], axis=-1)), rtol=1e-12)
    assert np.isnan(found).any()
    assert np.isfinite(found).any()
    exact = landscape_of(1 + 2 * np.arange(3.0)[None] - np.arange(4.0)[:, None], np.arange(3.0), np.arange(4.0))
    assert on_surface(exact["loss"], np.array([2.0]), np.array([3.0])) == [2.0]


def test_paths_lie_at_the_loss_of_the_plane_where_it_is_known(bowl):
    interpolated = {path.name: loss for path, loss in lifted(bowl, bowl["loss"])}
    known = bowl.assign(path_plane_loss=(("rule", "point"), np.full((2, 9), 7.0)))
    for path, loss in lifted(known, known["loss"]):
        there = np.isfinite(interpolated[path.name])
        assert (loss[there] == 7).all()
        assert np.isnan(loss[~there]).all()
    assert len(interpolated["adam"]) == 6


def test_a_wall_hides_only_points_behind_it(bowl):
    x = np.linspace(-1, 1, 21)
    wall = landscape_of(np.where(np.abs(x) < 0.05, 1.0, 0.0) + np.zeros((21, 1)), x, x)
    axes = surface_3d(wall, view=(20, 0)).axes[0]  # seen from large x
    points = np.array([[-0.3, 0.3, -0.3], [0.0, 0.0, 0.0], [0.01, 0.01, 1.2]])
    assert visible(axes, wall["loss"], relief(wall["loss"].values), points).tolist() == [False, True, True]
    axes.view_init(20, 180)
    assert visible(axes, wall["loss"], relief(wall["loss"].values), points).tolist() == [True, False, True]


def of(figure, gid):
    return [artist for artist in figure.axes[0].get_children() if artist.get_gid() == gid]


def test_cells_without_a_finite_corner_are_left_out_and_counted(bowl, words):
    figure = surface_3d(bowl)
    (mesh,) = of(figure, "surface")
    finite = np.isfinite(bowl["loss"].values)
    whole = finite[:-1, :-1] & finite[1:, :-1] & finite[:-1, 1:] & finite[1:, 1:]
    figure.draw_without_rendering()
    assert len(mesh.get_facecolor()) == whole.sum()
    assert "Left out: loss not finite, 13 of 527 points" in words(figure)
    assert "Left out" not in words(surface_3d(bowl.assign(loss=bowl["loss"].fillna(1.0).where(bowl["loss"] < 99, 1.0))))


def test_paths_are_drawn_on_the_surface_in_their_rules_colours(bowl):
    figure = surface_3d(bowl, log=False, view=(80, -60))
    styles, scale = rule_styles(["gd", "adam"]), relief(bowl["loss"].values, False)
    lines = {line.get_color(): line for line in of(figure, "path")}
    assert set(lines) == {styles["gd"].colour, styles["adam"].colour}
    x, y, z = lines[styles["gd"].colour].get_data_3d()
    run = bowl.sel(rule="gd")
    np.testing.assert_array_equal(x, run["path_x"])
    np.testing.assert_array_equal(y, run["path_y"])
    np.testing.assert_allclose(z, scale.height(on_surface(bowl["loss"], x, y)) + 0.012)
    seen = {line.get_color(): line for line in of(figure, "seen")}
    # A bowl seen nearly from above hides nothing.
    np.testing.assert_array_equal(seen[styles["gd"].colour].get_data_3d()[2], z)


@pytest.mark.parametrize("value", [np.nan, 3.0])
@pytest.mark.parametrize("width", ["single", "double"])
def test_flat_and_non_finite_surfaces_draw_without_warning(bowl, value, width):
    bowl["loss"][:] = value
    bowl["min_x"], bowl["min_y"] = ("minimum", [0.0]), ("minimum", [0.0])
    surface_3d(bowl, width=width).draw_without_rendering()


def test_a_surface_is_needed(bowl):
    with pytest.raises(SelectionError, match="over the dims y and x"):
        surface_3d(bowl.isel(x=0))
    with pytest.raises(SelectionError, match="two points along each axis"):
        surface_3d(bowl.isel(x=[0]))


def test_runs_of_one_rule_share_its_colour_and_a_line_of_the_legend(bowl, words):
    runs = bowl.drop_vars("rule").rename(rule="run").assign(path_diverged=("run", [False, True]))
    runs = runs.assign_coords(rule=("run", np.array(["adam", "adam"], object)), lr=("run", [0.1, 0.3]))
    figure = surface_3d(runs)
    assert [line.get_color() for line in of(figure, "path")] == [rule_styles(["adam"])["adam"].colour] * 2
    assert "adam 2 runs lr 0.1 to 0.3 1 diverged" in words(figure)
    assert with_rules(runs)["path_x"].dims == ("rule", "point")
