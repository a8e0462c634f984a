"""Values for an axis, against NumPy and closed forms."""

import numpy as np
import pytest

from gdlab import linear, log, random


@pytest.mark.parametrize(("lo", "hi", "n"), [(1e-4, 10.0, 24), (2, 3, 2), (1.0, 1e-3, 7), (0.5, 0.5, 3)])
def test_log_keeps_the_ratio(lo, hi, n):
    values = log(lo, hi, n)
    assert len(values) == n
    assert (values[0], values[-1]) == (lo, hi)
    np.testing.assert_allclose(values, lo * (hi / lo) ** (np.arange(n) / (n - 1)), rtol=1e-12)
    np.testing.assert_array_equal(values, np.geomspace(lo, hi, n))


@pytest.mark.parametrize(("lo", "hi", "n"), [(0.0, 1.0, 11), (-3, 5, 4), (2.0, -2.0, 5)])
def test_linear_keeps_the_difference(lo, hi, n):
    values = linear(lo, hi, n)
    assert len(values) == n
    assert (values[0], values[-1]) == (lo, hi)
    np.testing.assert_allclose(values, lo + (hi - lo) * np.arange(n) / (n - 1), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(values, np.linspace(lo, hi, n))


@pytest.mark.parametrize("axis", [log, linear])
def test_a_single_value_is_the_lower_end(axis):
    np.testing.assert_array_equal(axis(0.25, 4.0, 1), [0.25])


def test_a_whole_number_may_be_written_as_a_float():
    np.testing.assert_array_equal(linear(0, 1, 3.0), [0, 0.5, 1])


def test_random_is_uniform_in_the_logarithm_or_plainly():
    draws = np.sort(np.random.default_rng(5).uniform(size=50))
    np.testing.assert_allclose(random(1e-3, 10.0, 50, seed=5), 10 ** (4 * draws - 3), rtol=1e-12)
    np.testing.assert_allclose(random(-1.0, 3.0, 50, scale="linear", seed=5), 4 * draws - 1, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scale", ["log", "linear"])
@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_random_is_sorted_within_its_bounds_and_decided_by_its_seed(scale, seed):
    values = random(0.01, 3.0, 200, scale=scale, seed=seed)
    assert values.shape == (200,)
    assert (np.diff(values) > 0).all()
    assert values[0] >= 0.01
    assert values[-1] < 3.0
    np.testing.assert_array_equal(values, random(0.01, 3.0, 200, scale=scale, seed=seed))
    assert not np.isin(values, random(0.01, 3.0, 200, scale=scale, seed=seed + 1)).any()


@pytest.mark.parametrize("ends", [(0, 1), (1, 0), (-1, 2), (1e-3, -1), (float("nan"), 1)])
@pytest.mark.parametrize("axis", [log, random])
def test_a_logarithm_needs_ends_above_zero(axis, ends):
    with pytest.raises(ValueError, match="needs ends above 0"):
        axis(*ends, 3)


@pytest.mark.parametrize("n", [0, -2, 2.5])
@pytest.mark.parametrize("axis", [log, linear, random])
def test_an_axis_has_at_least_one_value(axis, n):
    with pytest.raises(ValueError, match=f"at least one value, not {n}"):
        axis(1, 2, n)
