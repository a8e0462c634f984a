"""Grids of landscapes."""

import numpy as np
import pytest
import xarray

from gdlab.errors import SelectionError
from gdlab.figures import landscape_grid
from gdlab.figures.levels import levels

SHARE = np.linspace(-1, 1, 9)
RULES = np.array(["gd", "adam"], object)
LRS = np.array([1e-3, 1e-2, 0.1])


@pytest.fixture
def zoo():
    """(1 + place) * (x^2 + 2 y^2), places counted over 2 rules and 3 rates; gd diverged at its last rate"""
    bowl = SHARE[None] ** 2 + 2 * SHARE[:, None] ** 2
    loss = (1 + np.arange(6.0).reshape(2, 3, 1, 1)) * bowl
    loss[0, 2, :2] = np.inf
    diverged = np.zeros((2, 3), bool)
    diverged[0, 2] = True
    path = np.broadcast_to(np.linspace(0.8, 0, 5), (2, 3, 5)).copy()
    path[0, 2, 3:] = np.nan
    return xarray.Dataset(
        {
            "loss": (("rule", "lr", "y", "x"), loss),
            "path_diverged": (("rule", "lr"), diverged),
            "path_x": (("rule", "lr", "point"), path),
            "path_y": (("rule", "lr", "point"), path / 2),
        },
        {"rule": RULES, "lr": LRS, "x": SHARE, "y": SHARE},
    )


def panels(figure):
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


def said(axes):
    return [text.get_text() for text in axes.texts]


def test_rules_are_rows_and_rates_are_columns(zoo):
    axes = panels(landscape_grid(zoo.transpose("x", "rule", "lr", "y", "point")))
    assert len(axes) == 6
    assert [one.get_ylabel() for one in axes] == ["gd", "", "", "adam", "", ""]
    assert [one.get_title() for one in axes] == ["lr 1e-3", "lr 0.01", "lr 0.1", "", "", ""]
    places = [one.get_subplotspec() for one in axes]
    assert [(spec.rowspan.start, spec.colspan.start) for spec in places] == [(r, c) for r in range(2) for c in range(3)]


def test_each_panel_has_its_own_levels_or_all_share_them(zoo):
    own, shared = landscape_grid(zoo), landscape_grid(zoo, share=True)
    for place, (one, other) in enumerate(zip(panels(own), panels(shared), strict=True)):
        loss = zoo["loss"].values.reshape(6, 9, 9)[place]
        np.testing.assert_array_equal(one.collections[0].levels, levels(loss, 14).values)
        np.testing.assert_array_equal(other.collections[0].levels, levels(zoo["loss"].values, 14).values)
    assert panels(own)[1].get_xlabel() == "0 to 6"
    assert len(own.axes) == 6
    assert len(shared.axes) == 7


def test_diverged_runs_are_marked_and_counted(zoo, words):
    figure = landscape_grid(zoo)
    assert [said(axes) for axes in panels(figure)] == [[], [], ["diverged"], [], [], []]
    assert "6 runs, 1 diverged" in words(figure)
    assert "Hatched: loss not finite, 18 of 486 points" in words(figure)
    never = zoo.drop_vars("path_diverged").assign(diverged_at=(("rule", "lr"), [[-1, -1, -1], [-1, 0, 7]]))
    assert [said(axes) for axes in panels(landscape_grid(never))] == [[], [], [], [], ["diverged"], ["diverged"]]
    zoo["loss"][1, 0] = np.nan
    assert said(panels(landscape_grid(zoo))[3]) == ["no finite point"]


def test_paths_end_with_their_runs(zoo):
    lines = [[line for line in axes.lines if line.get_gid() == "path"] for axes in panels(landscape_grid(zoo))]
    assert [len(line.get_xdata()) for (line,) in lines] == [5, 5, 3, 5, 5, 5]
    np.testing.assert_array_equal(lines[0][0].get_ydata(), zoo["path_y"].values[0, 0])


def test_different_rates_of_each_rule_are_above_each_panel(zoo):
    own = zoo.drop_vars("lr").rename(lr="place").assign_coords(lr=(("rule", "place"), [LRS, 10 * LRS]))
    titles = [axes.get_title() for axes in panels(landscape_grid(own))]
    assert titles == ["lr 1e-3", "lr 0.01", "lr 0.1", "lr 0.01", "lr 0.1", "lr 1"]


def test_runs_in_a_row_are_named_by_rule_and_rate_and_break_into_rows(zoo):
    runs = zoo.stack(run=("rule", "lr")).reset_index("run")
    runs = xarray.concat([runs, runs.isel(run=[0])], "run").transpose("run", ...)
    axes = panels(landscape_grid(runs))
    assert [one.get_title() for one in axes[:2]] == ["gd  lr 1e-3", "gd  lr 0.01"]
    assert max(one.get_subplotspec().rowspan.start for one in axes) == 2


def test_some_can_be_selected_and_too_many_are_refused(zoo):
    assert len(panels(landscape_grid(zoo, select={"lr": [0.1]}))) == 2
    assert len(panels(landscape_grid(zoo, select={"rule": "adam"}))) == 3
    many = zoo.isel(lr=np.arange(33) % 3)
    with pytest.raises(SelectionError, match="66 panels, 2 × 33 along rule and lr"):
        landscape_grid(many)
    with pytest.raises(SelectionError, match="varies along beta, rule and lr"):
        landscape_grid(zoo.expand_dims(beta=[0.0, 0.9]))
    with pytest.raises(SelectionError, match="over y, x and the dims of its panels"):
        landscape_grid(zoo.isel(rule=0, lr=0))


@pytest.mark.parametrize("width", ["single", "double"])
def test_a_zoo_without_a_finite_loss_draws(zoo, width):
    landscape_grid(zoo * np.nan, width=width, share=True).draw_without_rendering()
