"""Comparison of contestants: order of calls, medians, ratios, shares, failures."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdlab.bench.comparison import Contestant, Counted, Timing, compare, distance, ratio, subset
from gdlab.bench.matmul_peak import matmul_peak


class Clock:
    """A clock that advances only when a contestant works."""

    def __init__(self):
        self.now = 0.0
        self.log = []

    def __call__(self):
        return self.now

    def contestant(self, name, times, **more):
        """A contestant whose successive calls take these times."""
        left = iter(times)

        def work():
            self.log.append(name)
            self.now += next(left)
            return np.array(more.get("losses", [1.0, 2.0]))

        return Contestant(name, lambda: work, **{key: value for key, value in more.items() if key != "losses"})


def _standing(*seconds):
    return Timing("x", 1, 1.0, seconds, 0.0, 0.0)


def test_compare_interleaves_contestants_after_a_first_call():
    clock = Clock()
    a, b, c = (clock.contestant(name, [9, 1, 1]) for name in "abc")
    compare([a, b, c], 2, clock=clock)
    assert "".join(clock.log) == "abc" + "abc" + "abc"


def test_compare_scales_times_but_not_the_first_call():
    clock = Clock()
    whole = clock.contestant("whole", [5, 2, 4])
    part = clock.contestant("part", [3, 1, 1.5], runs=np.array([1]), share=0.25, losses=[2.0])
    one, other = compare([whole, part], 2, clock=clock)
    assert (one.seconds, one.first_seconds, one.runs) == ((2, 4), 5, 2)
    assert (other.seconds, other.first_seconds, other.runs) == ((4, 6), 3, 1)
    assert other.apart == 0
    assert ratio(other, one) == pytest.approx((4 / 2 + 6 / 4) / 2)


def test_compare_counts_kernels_outside_the_measured_time():
    clock = Clock()
    plain = clock.contestant("plain", [5, 2])

    def counting():
        clock.now += 100
        return 12

    counted = Contestant("counted", lambda: Counted(clock.contestant("counted", [6, 3]).prepare(), counting))
    one, other = compare([plain, counted], 1, clock=clock)
    assert (one.kernels_per_step, other.kernels_per_step) == (None, 12)
    assert (other.first_seconds, other.seconds) == (6, (3,))


def test_compare_reports_why_an_external_contestant_failed():
    def broken():
        raise RuntimeError("no compiler here\nand more")

    clock = Clock()
    externals = [Contestant("external", broken, external=True), Contestant("late", lambda: broken, external=True)]
    engine, *out = compare([clock.contestant("engine", [1, 1, 1]), *externals], 2, clock=clock)
    assert engine.seconds == (1, 1)
    for one in out:
        assert one.failure == "RuntimeError: no compiler here"
        assert math.isnan(one.median)
        assert math.isnan(ratio(one, engine))


def test_compare_raises_where_gdlab_fails():
    def broken():
        raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match="ours"):
        compare([Contestant("engine", broken)], 1)


def test_ratio_is_the_median_over_rounds():
    slow_machine_twice = _standing(2, 20, 20), _standing(1, 10, 40)
    assert ratio(*slow_machine_twice) == 2
    assert slow_machine_twice[0].median == 20
    assert slow_machine_twice[1].median == 10


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=8), st.floats(0.01, 100))
@settings(derandomize=True, deadline=None)
def test_ratio_to_a_multiple_of_itself(times, factor):
    scaled = _standing(*(factor * time for time in times))
    assert ratio(scaled, _standing(*times)) == pytest.approx(factor)
    assert ratio(_standing(*times), _standing(*times)) == 1


def test_distance_is_the_largest_over_runs():
    assert distance(np.array([1.0, 2.2]), np.array([1.0, 2.0])) == pytest.approx(0.1, rel=1e-5)
    assert distance(np.array([1e-9]), np.array([0.0])) == pytest.approx(1e-3)  # rounding errors near 0 are tolerated
    assert distance(np.array([np.nan, 1.0]), np.array([np.nan, 1.0])) == 0
    assert distance(np.array([np.nan]), np.array([1.0])) == np.inf
    assert distance(np.array([1.0]), np.array([np.nan])) == np.inf


@given(st.integers(1, 10**6), st.integers(1, 100))
@settings(derandomize=True, deadline=None)
def test_subset_is_spread_over_all_runs(total, count):
    numbers, share = subset(total, count)
    assert len(numbers) == min(total, count) == round(share * total)
    assert numbers[0] == 0
    assert count == 1 or numbers[-1] == total - 1
    gaps = np.diff(numbers)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def test_matmul_peak_is_a_plausible_speed():
    assert 0.01 < matmul_peak(size=65, repeats=2) < 1e6  # 65 rows are not divisible by two devices
