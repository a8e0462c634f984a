"""The curves figure shows each rule's series at its best rate."""

import numpy as np
import pytest
import xarray

from gdlab.analysis.selection import best
from gdlab.figures import loss_curves


def lines_of(figure, panel=0):
    return [line for line in figure.axes[panel].lines if line.get_gid() == "median"]


@pytest.mark.smoke
@pytest.mark.parametrize("series", ["loss", "grad_norm"])
def test_lines_are_medians_at_the_best_rate(five, series):
    lines = lines_of(loss_curves(five, series=series))
    rates = best(five)["lr"].values
    for line, rule, rate in zip(lines, five["rule"].values, rates, strict=True):
        runs = five[series].sel(rule=rule, lr=rate).transpose("seed", "step").values
        np.testing.assert_allclose(line.get_ydata(), np.median(runs, axis=0))
        np.testing.assert_array_equal(line.get_xdata(), five["step"])
        assert line.get_label() == f"{rule}  lr {rate:.2g}".replace("0.0033", "3.3e-3").replace("0.0012", "1.2e-3")


def test_the_rate_can_be_given_for_all_rules(five):
    (line, *_) = lines_of(loss_curves(five, at={"lr": 0.01}))
    near = five["lr"].values[np.abs(five["lr"].values - 0.01).argmin()]
    np.testing.assert_allclose(line.get_ydata(), np.median(five["loss"].sel(rule="gd", lr=near), axis=0))
    assert line.get_label().startswith("gd  lr 9e-3")


def small(loss, **ends):
    loss = np.asarray(loss, float)
    runs = {name: ("seed", values) for name, values in ends.items()}
    final = np.where(np.array(ends["diverged_at"]) >= 0, np.nan, np.nanmin(loss, axis=-1))
    return xarray.Dataset({"loss": (("seed", "step"), loss), "final_loss": ("seed", final), **runs}, {"step": range(4)})


def test_converged_runs_keep_their_last_value_and_diverged_ones_count_as_infinite(words):
    nan = np.nan
    data = small([[4, 3, 2, 1], [4, 1, nan, nan], [4, 9, nan, nan]], diverged_at=[-1, -1, 2], converged_at=[-1, 2, -1])
    figure = loss_curves(data)
    (line,) = lines_of(figure)
    np.testing.assert_array_equal(line.get_ydata(), [4, 3, 2, 1])
    assert "(1 of 3 diverged)" in words(figure)
    assert "Converged runs keep their last value" in words(figure)


def test_a_line_ends_where_half_of_the_seeds_have_diverged():
    data = small([[4, 3, 2, 1], [4, 9, np.nan, np.nan]], diverged_at=[-1, 2], converged_at=[-1, -1])
    figure = loss_curves(data)
    np.testing.assert_array_equal(lines_of(figure)[0].get_ydata(), [4, 6, np.nan, np.nan])
    assert "diverged" in lines_of(figure)[0].get_label()


def test_a_missing_value_of_a_living_run_is_a_gap():
    data = small([[4, np.nan, 2, 1], [4, 3, 2, 1]], diverged_at=[-1, -1], converged_at=[-1, -1])
    np.testing.assert_array_equal(lines_of(loss_curves(data))[0].get_ydata(), [4, np.nan, 2, 1])


def test_each_panel_has_its_own_best_rate(make):
    data = make(rules=("gd",), rates=6, extra={"beta": [0.0, 0.9]})
    first, second = data["final_loss"].sel(beta=0.0), data["final_loss"].sel(beta=0.9).roll(lr=-1)
    data["final_loss"] = xarray.concat([first, second], "beta")
    figure = loss_curves(data)
    rates = best(data, over=["lr"])["lr"].values.ravel()
    assert rates[0] != rates[1]
    for panel, rate in enumerate(rates):
        runs = data["loss"].isel(beta=panel).sel(rule="gd", lr=rate).transpose("seed", "step")
        np.testing.assert_allclose(lines_of(figure, panel)[0].get_ydata(), np.median(runs, axis=0))
    both = loss_curves(data, over=("lr", "beta"))
    assert "beta 0" in lines_of(both)[0].get_label()


@pytest.mark.parametrize(("rules", "width"), [(1, "single"), (12, "single"), (12, "double")])
def test_odd_shapes_draw_without_warning(make, rules, width, words):
    data = make(rules=[f"a rule with a long name, the {i}th" for i in range(rules)], rates=1, seeds=1, steps=1)
    data["diverged_at"][:] = 0
    figure = loss_curves(data, width=width)
    figure.draw_without_rendering()
    assert words(figure).count("every run diverged") == 1 * rules


def test_errors_name_what_is_missing(five):
    with pytest.raises(ValueError, match=r"no series 'sharpness'.*loss, grad_norm"):
        loss_curves(five, series="sharpness")
    with pytest.raises(ValueError, match="at must be 'best' or"):
        loss_curves(five, at="worst")


def test_loss_curves_label_the_loss_of_the_steps_batch(five, make):
    assert loss_curves(five).axes[0].get_ylabel() == "loss"
    fixed = five.assign(loss=five["loss"].assign_attrs(batch_size=32))
    assert loss_curves(fixed).axes[0].get_ylabel() == "loss on the step's batch"
    assert loss_curves(fixed, series="grad_norm").axes[0].get_ylabel() == "grad norm"
    swept = make(rules=("gd",), rates=3, seeds=2, steps=5, extra={"batch_size": ["8", "all"]})
    assert loss_curves(swept).axes[0].get_ylabel() == "loss on the step's batch"
    assert loss_curves(swept, select={"batch_size": "all"}).axes[0].get_ylabel() == "loss"


def test_loss_curves_name_the_step_at_which_all_seeds_converged_and_go_on_to_the_last():
    nan = np.nan
    data = small([[4, 1, nan, nan], [4, 1, nan, nan]], diverged_at=[-1, -1], converged_at=[2, 2])
    (line,) = lines_of(loss_curves(data))
    np.testing.assert_array_equal(line.get_ydata(), [4, 1, 1, 1])
    assert "converged at step 2" in line.get_label()


def test_loss_curves_leave_missing_runs_out():
    data = small([[4, 3, 2, 1], [1, 1, 1, 1], [6, 5, 4, 3]], diverged_at=[-1] * 3, converged_at=[-1] * 3)
    data["loss"][1], data["final_loss"][1] = np.nan, np.nan
    np.testing.assert_array_equal(lines_of(loss_curves(data))[0].get_ydata(), [5, 4, 3, 2])


def test_loss_curves_legends_of_panels_cover_no_line_and_no_other_panel(make):
    data = make(rules=("gd", "a rule with a long name"), rates=4, extra={"beta": [0.0, 0.5, 0.9]})
    figure = loss_curves(data)
    figure.draw_without_rendering()
    boxes = [axes.get_legend().get_window_extent() for axes in figure.axes]
    for box in boxes:
        assert not any(box.overlaps(axes.get_window_extent().shrunk(0.9, 0.9)) for axes in figure.axes)
        assert sum(box.overlaps(other) for other in boxes) == 1
        assert box.x1 <= figure.bbox.x1


def test_loss_curves_at_the_best_peak_of_a_schedule(five):
    lines = lines_of(loss_curves(five.rename(lr="lr.peak")))
    for line, other in zip(lines, lines_of(loss_curves(five)), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), other.get_ydata())
        assert line.get_label() == other.get_label().replace("lr", "lr.peak")
