"""The map of curvature."""

import numpy as np
import pytest
import xarray

from gdlab.errors import SelectionError
from gdlab.figures import curvature_map
from gdlab.figures.levels import levels


@pytest.fixture
def saddle():
    """|least / greatest| eigenvalue of x^4/12 + y^2/2, whose Hessian is diag(x^2, 1), for |x| < 1."""
    x, y = np.linspace(-0.9, 0.9, 19), np.linspace(0, 1, 7)
    ratio = np.broadcast_to(x**2, (7, 19)).copy()
    ratio[0, :2] = np.nan
    loss = x[None] ** 4 / 12 + y[:, None] ** 2 / 2
    return xarray.Dataset({"curvature_ratio": (("y", "x"), ratio), "loss": (("y", "x"), loss)}, {"x": x, "y": y})


def test_the_ratio_is_coloured_and_the_loss_drawn_over_it(saddle, words):
    figure = curvature_map(saddle, steps=12)
    axes = figure.axes[0]
    np.testing.assert_array_equal(
        axes.collections[0].levels, levels(saddle["curvature_ratio"].values, 12, False).values
    )
    (lines,) = [one for one in axes.collections if one.get_gid() == "loss"]
    np.testing.assert_array_equal(lines.levels, levels(saddle["loss"].values, 10).values)
    assert "Hatched: ratio not finite, 2 of 133 points" in words(figure)
    assert "eigenvalue" in figure.axes[1].get_ylabel()


def test_the_loss_may_be_missing_or_not_finite(saddle, words):
    alone = curvature_map(saddle.drop_vars("loss"))
    assert "grey lines" not in words(alone)
    assert "grey lines" not in words(curvature_map(saddle.assign(loss=saddle["loss"] * np.nan)))
    with pytest.raises(SelectionError, match="'curvature_ratio' over the dims y and x"):
        curvature_map(saddle.drop_vars("curvature_ratio"))


@pytest.mark.parametrize("width", ["single", "double"])
def test_without_a_finite_ratio_it_draws(saddle, width):
    curvature_map(saddle * np.nan, width=width).draw_without_rendering()
