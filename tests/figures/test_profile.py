"""Profiles along lines: medians and bands against NumPy."""

import numpy as np
import pytest
import xarray

from gdlab.errors import SelectionError
from gdlab.figures import line_profile

ALPHA = np.linspace(-1, 1, 21)


def lines_of(figure):
    return [line for line in figure.axes[0].lines if line.get_gid() == "median"]


def band_of(figure, i=0):
    """The x values and both limits of a band, from its polygon."""
    band = [one for one in figure.axes[0].collections if one.get_gid() == "band"][i]
    (path,) = band.get_paths()
    points = {}
    for x, y in path.vertices:
        points.setdefault(round(float(x), 9), []).append(float(y))
    at = sorted(points)
    return np.array(at), np.array([min(points[x]) for x in at]), np.array([max(points[x]) for x in at])


def quadratics(curvatures, **dims):
    """curvature * alpha^2 + 1 for each of the curvatures, [..., alpha]."""
    values = np.asarray(curvatures)[..., None] * ALPHA**2 + 1
    return xarray.Dataset(
        {"loss": ((*dims, "alpha"), values)}, {"alpha": ALPHA} | {k: v for k, v in dims.items() if v is not None}
    )


def test_one_line_is_drawn_as_it_is(words):
    figure = line_profile(quadratics(3.0).assign_attrs(x_label="along u", loss_label="training loss"))
    (line,) = lines_of(figure)
    np.testing.assert_array_equal(line.get_xdata(), ALPHA)
    np.testing.assert_allclose(line.get_ydata(), 3 * ALPHA**2 + 1)
    assert figure.axes[0].get_xlabel() == "along u"
    assert figure.axes[0].get_ylabel() == "training loss"
    assert not [one for one in figure.axes[0].collections if one.get_gid() == "band"]
    assert "random lines" not in words(figure)


def test_many_lines_are_a_median_and_a_band_of_quantiles(words):
    curvatures = np.random.default_rng(0).uniform(0.5, 2, 21)
    figure = line_profile(quadratics(curvatures, plane=None))
    np.testing.assert_allclose(lines_of(figure)[0].get_ydata(), np.median(curvatures) * ALPHA**2 + 1)
    at, low, high = band_of(figure)
    # Of 21 values the 10% and the 90% quantile are the third from either end.
    ends = np.sort(curvatures)[[2, -3]]
    np.testing.assert_allclose(low, ends[0] * at**2 + 1)
    np.testing.assert_allclose(high, ends[1] * at**2 + 1)
    assert "median over 21 random lines; band: 10–90% quantiles" in words(figure)
    assert "least to greatest" in words(line_profile(quadratics([1.0, 2.0, 3.0], plane=None)))


def test_a_standard_error_is_a_band(words):
    data = quadratics(1.0).assign(loss_se=("alpha", 0.1 + 0 * ALPHA))
    figure = line_profile(data)
    at, low, high = band_of(figure)
    np.testing.assert_allclose(high - low, 0.2)
    np.testing.assert_allclose(low, at**2 + 0.9)
    assert "one standard error" in words(figure)


def test_rules_are_lines_by_name_whatever_the_order_of_the_dims(words):
    data = quadratics([[1.0, 2.0, 3.0], [4.0, 5.0, 9.0]], rule=["gd", "sam"], plane=None)
    figure = line_profile(data.transpose("alpha", "plane", "rule"))
    gd, sam = lines_of(figure)
    np.testing.assert_allclose(sam.get_ydata(), 5 * ALPHA**2 + 1)
    np.testing.assert_allclose(gd.get_ydata(), 2 * ALPHA**2 + 1)
    assert "gd" in words(figure)
    (alone,) = lines_of(line_profile(data, select={"rule": "sam"}))
    np.testing.assert_allclose(alone.get_ydata(), 5 * ALPHA**2 + 1)


def test_runs_are_named_by_rule_and_rate(words):
    data = quadratics([1.0, 2.0], run=None)
    data = data.assign_coords(rule=("run", np.array(["gd", "gd"], object)), lr=("run", [0.1, 0.01]))
    text = words(line_profile(data))
    assert "gd lr 0.1" in text
    assert "gd lr 0.01" in text


def test_losses_that_are_not_finite_break_the_line_and_are_barred(words):
    data = quadratics([1.0, 2.0, 3.0, 4.0], plane=None)
    data["loss"][:, -3:] = np.inf
    data["loss"][:3, 15:18] = np.nan
    figure = line_profile(data)
    drawn = lines_of(figure)[0].get_ydata()
    assert np.isnan(drawn[15:]).all()
    assert np.isfinite(drawn[:15]).all()
    (strip,) = figure.axes[0].child_axes
    kinds = [patch.get_gid() for patch in strip.patches if patch.get_gid()]
    assert kinds == ["some diverged", "all diverged"]
    assert strip.get_ylabel() == "not finite"
    assert "loss not finite; hatched: on some lines" in words(figure)


@pytest.mark.parametrize("width", ["single", "double"])
def test_a_line_without_finite_values_draws(width):
    line_profile(quadratics(np.nan), width=width).draw_without_rendering()


def test_errors_name_what_is_missing():
    with pytest.raises(SelectionError, match=r"no 'accuracy' over alpha; there are loss"):
        line_profile(quadratics(1.0), metric="accuracy")
    with pytest.raises(SelectionError, match="varies along beta"):
        line_profile(quadratics([1.0, 2.0], beta=[0.0, 0.9]))
    with pytest.raises(SelectionError, match="13 lines are too many"):
        line_profile(quadratics(np.ones(13), run=None))
