"""Verdicts: compared with SciPy's intervals, and properties of the verdict on any claim."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gdlab.analysis.claims import Claim, at_least, at_most, between, judge, near, record

numbers = st.floats(-1e6, 1e6)


def claim(expected, measured, **more):
    return Claim("it", "It is so.", "Nobody (2026)", expected, measured, how="so", tolerance="so", **more)


def status(expected, measured, **more):
    return judge(claim(expected, measured, **more)).status


@pytest.mark.parametrize(
    ("expected", "value", "wanted"),
    [
        (near(2.0, rel=0.05), 2.1, "held"),
        (near(2.0, rel=0.05), 2.11, "failed"),
        (near(0.0, abs=0.1), -0.1, "held"),
        (near(-2.0, rel=0.05, abs=1), -2.9, "held"),
        (between(0, 1), 1.5, "failed"),
        (at_least(3), 3.0, "held"),
        (at_most(3), math.inf, "failed"),
        (at_least(3), math.inf, "held"),
    ],
)
def test_one_value(expected, value, wanted):
    assert status(expected, [value]) == wanted


@pytest.mark.smoke
def test_the_interval_of_the_mean_is_that_of_student():
    values = [1.0, 1.2, 1.1, 0.9]
    low, high = stats.t.interval(0.95, 3, loc=1.05, scale=stats.sem(values))
    found = judge(claim(between(0, 2), values))
    assert (found.value, found.low, found.high) == pytest.approx((1.05, low, high))


def test_seeds_that_lie_on_both_sides_settle_nothing():
    values = [0.9, 1.0, 1.1]
    assert status(at_least(0.5), values) == "held"
    assert status(at_least(0.99), values) == "uncertain"
    assert status(at_least(1.5), values) == "failed"


def test_of_each_seed():
    assert status(at_least(1), [1, 2, 3], over_seeds="each") == "held"
    assert status(at_least(4), [1, 2, 3], over_seeds="each") == "failed"
    found = judge(claim(between(2, 4), [0, 2, 3], over_seeds="each"))
    assert (found.status, found.value, found.reason) == ("uncertain", 0, "2 of 3 runs lie in the expected range")


def test_a_seed_without_a_number_bears_out_nothing():
    found = judge(claim(at_least(0), [1.0, math.nan, 2.0]))
    assert found.status == "failed"
    assert found.reason == "1 of 3 runs gave no number"


def test_what_can_not_be_told_is_not_judged():
    found = judge(claim(at_least(0), [], unchecked="too short"))
    assert (found.status, found.reason) == ("unchecked", "too short")
    with pytest.raises(ValueError, match="no measured value"):
        claim(at_least(0), [])


@given(st.lists(numbers, min_size=1, max_size=6), numbers, numbers, st.sampled_from(["mean", "each"]))
def test_a_wider_range_never_hurts(values, one, other, over_seeds):
    low, high = sorted((one, other))
    order = ["failed", "uncertain", "held"]
    narrow = order.index(status(between(low, high), values, over_seeds=over_seeds))
    wide = order.index(status(between(low - 1, high + 1), values, over_seeds=over_seeds))
    assert wide >= narrow


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=4))
def test_any_record_is_strict_json(values):
    one = claim(at_least(0), values)
    text = json.dumps(record(one, judge(one)), allow_nan=False)
    assert len(json.loads(text)["measured"]) == len(values)
