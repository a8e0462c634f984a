"""The figure of spectral densities."""

import numpy as np
import pytest
import xarray

from gdlab.errors import SelectionError
from gdlab.figures import spectrum

AT = np.linspace(-2, 12, 701)


def bump(centre, width=0.3):
    return np.exp(-0.5 * ((AT - centre) / width) ** 2) / (width * np.sqrt(2 * np.pi))


@pytest.fixture
def two():
    """99 eigenvalues at 0 and one at 10; the same with the one at 4."""
    return xarray.Dataset(
        {
            "density": (("rule", "eigenvalue"), [0.99 * bump(0) + 0.01 * bump(c) for c in (10, 4)]),
            "top": (("rule", "k"), [[10.0, 0.0], [4.0, np.nan]]),
            "trace": ("rule", [10.0, 4.0]),
        },
        {"rule": np.array(["gd", "sam"], object), "eigenvalue": AT},
        {"width": 0.3, "parameters": 100},
    )


def test_densities_are_lines_and_top_eigenvalues_ticks(two, words):
    figure = spectrum(two.transpose("eigenvalue", "rule", "k"))
    axes = figure.axes[0]
    lines = [line for line in axes.lines if line.get_gid() == "density"]
    for line, density in zip(lines, two["density"].values, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), density)
        np.testing.assert_array_equal(line.get_xdata(), AT)
    ticks = [[segment[0, 0] for segment in one.get_segments()] for one in axes.collections if one.get_gid() == "top"]
    assert ticks == [[10.0, 0.0], [4.0]]
    assert axes.get_yscale() == "log"
    assert "Trace: gd 10, sam 4" in words(figure)
    assert "Of 100 eigenvalues" in words(figure)


def test_the_axis_extends_below_the_peak_of_a_single_eigenvalue(two):
    low, high = spectrum(two).axes[0].get_ylim()
    alone = bump(0).max() / 100
    np.testing.assert_allclose(low, alone / 10, rtol=0.02)
    assert high > two["density"].max()
    low, high = spectrum(two, decades=3).axes[0].get_ylim()
    np.testing.assert_allclose(low, float(two["density"].max()) / 1e3)


def test_one_spectrum_needs_neither_rules_nor_the_rest(two, words):
    figure = spectrum(two[["density"]].isel(rule=0, drop=True).drop_attrs(), xscale="symlog")
    assert figure.axes[0].get_xscale() == "symlog"
    assert "Trace" not in words(figure)
    figure.draw_without_rendering()


def test_errors_name_what_can_not_be_drawn(two):
    with pytest.raises(SelectionError, match="'density' over the dim eigenvalue"):
        spectrum(two.drop_vars("density"))
    with pytest.raises(SelectionError, match="density varies along"):
        spectrum(two.expand_dims(seed=[0, 1]))
    with pytest.raises(SelectionError, match="decades must be above 0"):
        spectrum(two, decades=0)
    with pytest.raises(SelectionError, match="linear or symlog"):
        spectrum(two, xscale="log")


def test_a_density_without_finite_values_draws(two):
    spectrum(two * np.nan).draw_without_rendering()
