"""Figures of sharpness, on artificial runs with closed forms."""

import numpy as np
import pytest
import xarray

from gdlab.errors import SelectionError
from gdlab.figures import sharpness, sharpness_map
from gdlab.figures.recorded import recorded
from gdlab.figures.sharpness_map import reached

STEPS, LRS = np.arange(0, 100, 5), np.geomspace(0.01, 1, 9)
RULES = np.array(["gd", "adam"], object)
EVERY = 4


@pytest.fixture
def runs():
    """The sharpness is 1 + step * lr; for gd it is at most 2 / lr. At lr = 1 all runs diverge."""
    grown = 1 + STEPS * LRS[:, None]
    gd = np.minimum(grown, 2 / LRS[:, None])
    sharp = np.stack([gd, grown])[:, :, None] * np.array([0.9, 1.0, 1.2])[:, None]
    diverged = np.full((2, 9, 3), -1)
    diverged[:, -1] = 30
    diverged[1, -2, 1:] = 55
    gone = (diverged[..., None] >= 0) & (diverged[..., None] <= STEPS)
    sharp[gone] = np.nan
    loss = np.where(gone, np.nan, np.exp(-STEPS / 30.0))
    sharp[..., np.arange(20) % EVERY != 0] = np.nan
    dims = ("rule", "lr", "seed", "step")
    return xarray.Dataset(
        {
            "sharpness": (dims, sharp),
            "loss": (dims, loss),
            "diverged_at": (dims[:3], diverged),
            "final_loss": (dims[:3], loss[..., -1]),
            "threshold": (("rule", "lr"), np.stack([2 / LRS, np.full(9, np.nan)])),
        },
        {"rule": RULES, "lr": LRS, "seed": np.arange(3), "step": STEPS},
    )


def of(axes, gid):
    return [line for line in axes.lines if line.get_gid() == gid]


def test_steps_without_a_measurement_are_dropped_and_divergence_is_infinite(runs):
    found = recorded(runs, "sharpness")
    assert found["step"].values.tolist() == STEPS[::EVERY].tolist()
    assert found.dims == ("rule", "lr", "seed", "step")
    ended = runs["diverged_at"].values
    expected = (ended[..., None] >= 0) & (STEPS[::EVERY] >= ended[..., None])
    np.testing.assert_array_equal(np.isinf(found), expected)
    np.testing.assert_array_equal(found.values[~expected], runs["sharpness"].values[..., ::EVERY][~expected])


def test_converged_runs_keep_their_last_value(runs):
    runs["converged_at"] = runs["diverged_at"] * 0 - 1
    runs["converged_at"][0, 0, 0] = 45
    runs["sharpness"][0, 0, 0, 9:] = np.nan
    found = recorded(runs.transpose("step", "seed", "lr", "rule"), "sharpness")
    assert found.dims == ("step", "seed", "lr", "rule")
    one = found.isel(rule=0, lr=0, seed=0).values
    np.testing.assert_array_equal(one[3:], one[2])
    assert one[1] != one[2]


def test_lines_are_medians_over_seeds_at_rates_evenly_spaced(runs):
    figure = sharpness(runs)
    gd, adam = figure.axes[:2]
    shown = [0, 2, 4, 6, 8]
    for axes, rule in ((gd, 0), (adam, 1)):
        for line, rate in zip(of(axes, "median"), shown, strict=True):
            values = runs["sharpness"].values[rule, rate, :, ::EVERY]
            middle = np.median(np.where(np.isnan(values), np.inf, values), axis=0)
            np.testing.assert_allclose(line.get_ydata(), np.where(np.isfinite(middle), middle, np.nan))
            np.testing.assert_array_equal(line.get_xdata(), STEPS[::EVERY])
    below = figure.axes[2]
    np.testing.assert_array_equal(of(below, "median")[0].get_ydata(), np.exp(-STEPS / 30.0))
    assert below.get_ylabel() == "loss"


def test_thresholds_have_the_colours_of_their_rates(runs, words):
    figure = sharpness(runs, lrs=[0.1, 0.3])
    gd, adam = figure.axes[:2]
    lines, limits = of(gd, "median"), of(gd, "threshold")
    near = [LRS[np.abs(np.log(LRS / rate)).argmin()] for rate in (0.1, 0.3)]
    np.testing.assert_allclose([limit.get_ydata()[0] for limit in limits], 2 / np.array(near))
    assert [tuple(line.get_color()) for line in limits] == [tuple(line.get_color()) for line in lines]
    assert not of(adam, "threshold")
    assert "No threshold is known for adam" in words(figure)
    constants = runs.drop_vars("threshold").assign_coords(stability_sharpness=("rule", [2.0, np.nan]))
    again = of(sharpness(constants, lrs=[0.1, 0.3]).axes[0], "threshold")
    np.testing.assert_allclose([limit.get_ydata()[0] for limit in again], 2 / np.array(near))


def test_a_threshold_of_another_series_is_not_drawn(runs):
    runs["threshold"].attrs["of"] = "preconditioned_sharpness"
    assert not of(sharpness(runs).axes[0], "threshold")
    runs["preconditioned_sharpness"] = runs["sharpness"]
    figure = sharpness(runs, of_what="preconditioned_sharpness")
    assert of(figure.axes[0], "threshold")
    assert figure.axes[0].get_ylabel() == "preconditioned sharpness"


def test_a_cross_marks_where_half_of_the_seeds_have_diverged(runs):
    figure = sharpness(runs, lrs=[LRS[-2], LRS[-1]])
    gd, adam = figure.axes[:2]
    assert [mark.get_xdata()[0] for mark in of(gd, "diverged")] == [20]
    assert [mark.get_xdata()[0] for mark in of(adam, "diverged")] == [40, 20]


def test_rules_and_other_axes_are_chosen(runs):
    assert len(sharpness(runs, select={"rule": "gd"}, width="single").axes) == 3
    many = runs.isel(rule=[0, 1, 0, 1, 0])
    with pytest.raises(SelectionError, match="5 rules don't fit side by side"):
        sharpness(many)
    with pytest.raises(SelectionError, match="varies along beta too"):
        sharpness(runs.expand_dims(beta=[0.0, 0.9]))
    with pytest.raises(SelectionError, match="no dim lr"):
        sharpness(runs.isel(lr=0))
    with pytest.raises(SelectionError, match="no series 'preconditioned_sharpness'"):
        sharpness(runs, of_what="preconditioned_sharpness")
    with pytest.raises(SelectionError, match="has no values"):
        sharpness(runs.assign(sharpness=runs["sharpness"] * np.nan))


def test_the_order_of_rates_and_dims_does_not_matter(runs):
    shuffled = runs.isel(lr=np.random.default_rng(0).permutation(9)).transpose("step", "lr", "rule", "seed")
    for one, other in zip(sharpness(runs).axes[:2], sharpness(shuffled).axes[:2], strict=True):
        for gid in ("median", "threshold"):
            for a, b in zip(of(one, gid), of(other, gid), strict=True):
                np.testing.assert_array_equal(a.get_ydata(), b.get_ydata())


def test_the_map_colours_medians_and_leaves_out_the_diverged(runs, words):
    figure = sharpness_map(runs)
    for rule, axes in enumerate(figure.axes[:2]):
        (mesh,) = [one for one in axes.collections if one.get_gid() == "heat"]
        values = runs["sharpness"].values[rule, :, :, ::EVERY]
        middle = np.median(np.where(np.isnan(values), np.inf, values), axis=1)
        drawn = np.ma.getdata(mesh.get_array()).reshape(middle.shape)
        lost = np.ma.getmaskarray(mesh.get_array()).reshape(middle.shape)
        np.testing.assert_array_equal(lost, np.isinf(middle))
        np.testing.assert_allclose(drawn[~lost], middle[~lost])
        assert axes.patch.get_hatch()
    assert "Hatched: diverged" in words(figure)


def test_the_line_is_the_first_step_at_the_threshold(runs):
    gd, adam = sharpness_map(runs).axes[:2]
    (line,) = of(gd, "edge")
    values = np.median(runs["sharpness"].values[0, :, :, ::EVERY], axis=1)
    steps = STEPS[::EVERY]
    for place, lr in enumerate(LRS):
        at = line.get_xdata()[2 * place]
        there = steps[np.isfinite(values[place]) & (values[place] * lr >= 2 * (1 - 1e-12))]
        assert (np.isnan(at) and not len(there)) or at == there[0] - 10  # half a step of 20 before its middle
    assert not of(adam, "edge")


def test_reached_is_minus_one_without_values():
    values = np.array([[1.0, 3.0, 1.0], [1.0, np.inf, 9.0], [np.nan, np.inf, np.nan], [5.0, 5.0, 5.0]])
    assert reached(values, np.array([2.0, 8.0, 1.0, np.nan])).tolist() == [1, 2, -1, -1]


@pytest.mark.parametrize("figure", [sharpness, sharpness_map])
@pytest.mark.parametrize("width", ["single", "double"])
def test_one_run_of_one_step_draws(runs, figure, width):
    one = runs.isel(rule=0, lr=[0], seed=0, step=[0])
    figure(one, width=width).draw_without_rendering()
