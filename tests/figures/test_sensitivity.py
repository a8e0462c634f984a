"""The sensitivity figure, compared with NumPy on the same runs."""

import numpy as np
import pytest
import xarray
from matplotlib.figure import Figure

from gdlab.figures import lr_sensitivity, rule_styles


def marks(figure, gid, panel=0):
    return [line for line in figure.axes[panel].lines if line.get_gid() == gid]


def medians(data, metric="final_loss", worst=np.inf):
    values = np.where(data["diverged_at"] >= 0, worst, data[metric])
    return np.median(values, axis=data[metric].dims.index("seed"))


def test_lines_are_medians_over_seeds_and_break_where_half_diverged(five):
    figure = lr_sensitivity(five)
    assert isinstance(figure, Figure)
    expected = medians(five)
    assert np.isinf(expected).any()
    lines = marks(figure, "median")
    assert [line.get_label() for line in lines] == list(five["rule"].values)
    for line, row in zip(lines, expected, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), five["lr"])
        np.testing.assert_allclose(line.get_ydata(), np.where(np.isinf(row), np.nan, row))


def test_stars_mark_the_least_median(five):
    stars = marks(lr_sensitivity(five), "best")
    for star, row in zip(stars, medians(five), strict=True):
        assert star.get_xdata()[0] == five["lr"].values[row.argmin()]
        assert star.get_ydata()[0] == pytest.approx(row.min())


def test_the_band_ends_at_the_extreme_seeds_and_is_not_drawn_where_one_diverged(five):
    band = lr_sensitivity(five).axes[0].collections[0].get_paths()[0].vertices
    loss, whole = five["final_loss"].values[0], (five["diverged_at"].values[0] < 0).all(axis=-1)
    np.testing.assert_allclose(band[:, 0].max(), five["lr"].values[whole].max())
    for place in (0, 7, 12):
        heights = band[np.isclose(band[:, 0], five["lr"].values[place]), 1]
        assert heights.min() == pytest.approx(loss[place].min())
        assert heights.max() == pytest.approx(loss[place].max())


def test_bars_cover_the_rates_that_diverged(five):
    figure = lr_sensitivity(five)
    (strip,) = figure.axes[0].child_axes
    share = (five["diverged_at"].values >= 0).mean(axis=-1)
    lr = five["lr"].values
    for gid, cells in (("all diverged", share == 1), ("some diverged", (share > 0) & (share < 1))):
        boxes = [patch for patch in strip.patches if patch.get_gid() == gid]
        assert cells.any()
        covered = np.zeros_like(cells)
        for box in boxes:
            left, right = box.get_x(), box.get_x() + box.get_width()
            covered[int(box.get_y())] |= (lr > left) & (lr < right)
        np.testing.assert_array_equal(covered, cells)
    assert strip.get_xlim() == figure.axes[0].get_xlim()


def test_the_runs_are_counted_and_the_best_rates_named(five, words):
    lost = int((five["diverged_at"] >= 0).sum())
    text = words(lr_sensitivity(five))
    assert f"480 runs: 5 rules × 24 rates × 4 seeds; {lost} diverged" in text
    assert "median over 4 seeds" in text
    assert "least to greatest" in text
    assert "quickstart · mlp on digits" in text
    best = five["lr"].values[medians(five)[0].argmin()]
    assert f"gd best lr {best:.2g}" in text


def test_accuracy_is_best_where_greatest_and_diverged_counts_as_worst(five):
    figure = lr_sensitivity(five, metric="eval_accuracy")
    for star, row in zip(marks(figure, "best"), medians(five, "eval_accuracy", -np.inf), strict=True):
        assert star.get_ydata()[0] == pytest.approx(row.max())
    assert figure.axes[0].get_yscale() == "linear"


@pytest.mark.parametrize(("limit", "drawn"), [(0.2, 1), (1e3, 0), (np.nan, 0)])
def test_the_theoretical_limit_is_drawn_if_it_is_inside_the_frame(make, limit, drawn, words):
    data = make(rules=("gd",), rates=6, seeds=1).isel(rule=0, seed=0, drop=True)
    data["stable_lr"] = xarray.DataArray(limit, attrs={"label": "2/L"})
    figure = lr_sensitivity(data)
    lines = marks(figure, "stable_lr")
    assert [line.get_xdata()[0] for line in lines] == [0.2] * drawn
    assert ("2/L = 0.2" in words(figure)) == bool(drawn)
    assert "6 runs;" in words(figure)


def test_limits_that_differ_have_the_rules_colours(five):
    data = five.assign(stable_lr=("rule", [1.0, 0.5, np.nan, np.nan, np.nan], {"label": "2/L"}))
    figure = lr_sensitivity(data)
    styles = rule_styles(five["rule"].values)
    lines = marks(figure, "stable_lr")
    assert [(line.get_xdata()[0], line.get_color()) for line in lines] == [
        (1.0, styles["gd"].colour),
        (0.5, styles["momentum"].colour),
    ]


def test_the_axis_ends_at_ten_times_the_initial_loss(words):
    lr = np.geomspace(0.01, 1, 5)
    data = xarray.Dataset(
        {"final_loss": ("lr", [1.0, 0.1, 0.5, 1e9, 1e12]), "loss": (("lr", "step"), np.full((5, 2), 2.0))},
        {"lr": lr, "step": [0, 1]},
    )
    figure = lr_sensitivity(data)
    assert 20 < figure.axes[0].get_ylim()[1] < 40
    assert "2 medians above the frame" in words(figure)


def test_zero_loss_is_at_the_lower_end_of_the_logarithmic_axis():
    data = xarray.Dataset({"final_loss": ("lr", [1.0, 1e-3, 0.0])}, {"lr": [0.1, 0.2, 0.4]})
    figure = lr_sensitivity(data)
    axes = figure.axes[0]
    assert axes.get_yscale() == "log"
    assert marks(figure, "median")[0].get_ydata()[2] == axes.get_ylim()[0]


def test_another_axis_makes_panels_and_two_more_an_error(make):
    data = make(rules=("gd", "adam"), rates=5, extra={"beta": [0.0, 0.9]})
    figure = lr_sensitivity(data)
    assert [axes.child_axes[0].get_title(loc="left") for axes in figure.axes] == ["beta = 0", "beta = 0.9"]
    for panel in range(2):
        rows = medians(data.isel(beta=panel))
        for line, row in zip(marks(figure, "median", panel), rows, strict=True):
            np.testing.assert_allclose(line.get_ydata(), np.where(np.isinf(row), np.nan, row))
    more = xarray.concat([data, data], "batch_size").assign_coords(batch_size=np.array(["8", "all"], object))
    with pytest.raises(ValueError, match=r"batch_size and beta vary.*select="):
        lr_sensitivity(more)
    assert len(lr_sensitivity(more, select={"batch_size": "all"}).axes) == 2
    assert len(lr_sensitivity(more, select={"batch_size": "all", "beta": 0.8}).axes) == 1


def test_zipped_rates_are_drawn_in_rising_order():
    data = xarray.Dataset(
        {"final_loss": ("lr_beta", [3.0, 1.0, 2.0])},
        {"lr": ("lr_beta", [0.4, 0.1, 0.2]), "beta": ("lr_beta", [0, 1, 2])},
    )
    (line,) = marks(lr_sensitivity(data), "median")
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([0.1, 0.2, 0.4], [1.0, 2.0, 3.0])


@pytest.mark.parametrize(("rules", "width"), [(1, "single"), (1, "double"), (12, "single"), (12, "double")])
@pytest.mark.parametrize("shape", ["one rate", "four rates", "all diverged"])
def test_odd_shapes_draw_without_warning(make, rules, width, shape, words):
    rates, lost = 1 if shape == "one rate" else 4, shape == "all diverged"
    data = make(rules=[f"a rule with a long name, the {i}th" for i in range(rules)], rates=rates, steps=3)
    if lost:
        data["diverged_at"][:] = 0
    figure = lr_sensitivity(data, width=width)
    figure.draw_without_rendering()
    assert ("every rate diverged" in words(figure)) == lost
    assert len(marks(figure, "best")) == (0 if lost else int(np.isfinite(medians(data).min(axis=1)).sum()))


def test_errors_name_what_is_missing(five):
    with pytest.raises(ValueError, match="no 'los'"):
        lr_sensitivity(five, metric="los")
    with pytest.raises(ValueError, match="needs an axis 'lr'"):
        lr_sensitivity(five.isel(lr=0))
    with pytest.raises(ValueError, match="no axis 'beta'; there are rule, lr and seed"):
        lr_sensitivity(five, select={"beta": 1})
    with pytest.raises(ValueError, match="rule has no value 'sgd'"):
        lr_sensitivity(five, select={"rule": "sgd"})
    with pytest.raises(ValueError, match="single, double"):
        lr_sensitivity(five, width="wide")


def test_evenly_spaced_rates_and_a_rate_of_zero_have_a_linear_axis(make):
    data = make(rates=7)
    assert lr_sensitivity(data).axes[0].get_xscale() == "log"
    even = np.linspace(0, 0.3, 7)
    figure = lr_sensitivity(data.assign_coords(lr=even))
    assert figure.axes[0].get_xscale() == "linear"
    np.testing.assert_allclose(figure.axes[0].get_xlim(), (-0.025, 0.325))
    np.testing.assert_array_equal(marks(figure, "median")[0].get_xdata(), even)


def chain_results(make):
    """Two rules over a chain of three rates, two of them with another beta, and a point without a rate."""
    data = make(rules=("gd", "adam"), rates=5, seeds=3, highest=1e-2).rename(lr="run")
    rates = np.array([1e-3, 1e-2, 1e-3, 1e-1, np.nan])
    return data.assign_coords(run=np.arange(5), lr=("run", rates), beta=("run", [0.5, 0.5, 0.9, 0.9, 0.9]))


@pytest.mark.parametrize("width", ["single", "double"])
def test_lr_sensitivity_of_a_chain_leaves_out_points_without_a_rate_and_draws_no_lines(make, words, width):
    data = chain_results(make)
    figure = lr_sensitivity(data, width=width)
    figure.draw_without_rendering()
    order = [0, 2, 1, 3]
    for line, row in zip(marks(figure, "median"), medians(data), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [1e-3, 1e-3, 1e-2, 1e-1])
        np.testing.assert_allclose(line.get_ydata(), np.where(np.isinf(row), np.nan, row)[order])
        assert line.get_linestyle() == "None"
    text = words(figure)
    assert "Left out: 1 point without a rate" in text
    assert "Points differ in other hyperparameters too" in text
    with pytest.raises(ValueError, match="no run has a value of lr"):
        lr_sensitivity(data.isel(run=[4]))


def test_lr_sensitivity_of_the_peak_of_a_schedule(five, words):
    peak = five.rename(lr="lr.peak")
    for line, row in zip(marks(lr_sensitivity(peak), "median"), medians(five), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), five["lr"])
        np.testing.assert_allclose(line.get_ydata(), np.where(np.isinf(row), np.nan, row))
    assert "learning rate (lr.peak)" in words(lr_sensitivity(peak))


def test_lr_sensitivity_leaves_missing_runs_out_of_medians_and_counts(five, words):
    data = five.copy(deep=True)
    for name in ("diverged_at", "steps_taken"):
        data[name][0], data[name][1, :, 3] = -1, -1
    data["final_loss"][0], data["final_loss"][1, :, 3] = np.nan, np.nan
    figure = lr_sensitivity(data)
    first, second = marks(figure, "median")[:2]
    assert np.isnan(first.get_ydata()).all()
    row = medians(five.isel(seed=slice(3)))[1]
    np.testing.assert_allclose(second.get_ydata(), np.where(np.isinf(row), np.nan, row))
    text = words(figure)
    assert "gd no run" in text
    assert f"360 runs: 5 rules × 24 rates × 4 seeds, 120 missing; {int((data['diverged_at'] >= 0).sum())} div" in text


def test_lr_sensitivity_star_is_at_the_greatest_of_a_metric_with_direction_max(five):
    data = five.assign(eval_psnr=five["eval_accuracy"].assign_attrs(direction="max"))
    figure = lr_sensitivity(data, metric="eval_psnr")
    for star, row in zip(marks(figure, "best"), medians(five, "eval_accuracy", -np.inf), strict=True):
        assert star.get_ydata()[0] == pytest.approx(row.max())


def test_lr_sensitivity_draws_accuracy_on_a_linear_axis(five):
    small = five.assign(eval_accuracy=five["eval_accuracy"] ** 40)
    spanned = small["eval_accuracy"].where(small["diverged_at"] < 0)
    assert spanned.max() > 10 * spanned.min()
    assert lr_sensitivity(small, metric="eval_accuracy").axes[0].get_yscale() == "linear"
