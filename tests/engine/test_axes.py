"""Values of axes, compared with NumPy and closed forms."""

import numpy as np
import pytest

from gdlab import chain, linear, log, random, sobol
from gdlab.engine.space import ABSENT, SpaceError, space


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
def test_axis_of_one_value_is_the_lower_end(axis):
    np.testing.assert_array_equal(axis(0.25, 4.0, 1), [0.25])


def test_linear_accepts_an_integral_float_as_count():
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
@pytest.mark.parametrize("axis", [log, random, sobol])
def test_logarithmic_axis_needs_positive_ends(axis, ends):
    with pytest.raises(ValueError, match="needs lo and hi above 0"):
        axis(*ends, 3)


@pytest.mark.parametrize("n", [0, -2, 2.5])
@pytest.mark.parametrize("axis", [log, linear, random, sobol])
def test_axis_needs_at_least_one_value(axis, n):
    with pytest.raises(ValueError, match=f"at least one value, not {n}"):
        axis(1, 2, n)


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("power", [0, 1, 5, 8])
def test_sobol_puts_one_value_into_each_of_n_equal_parts(power, seed):
    n = 2**power
    plain = (sobol(-1.0, 3.0, n, scale="linear", seed=seed) + 1) / 4
    np.testing.assert_array_equal(np.floor(plain * n), np.arange(n))
    logarithms = np.log10(sobol(1e-3, 10.0, n, seed=seed))
    np.testing.assert_array_equal(np.floor((logarithms + 3) / 4 * n), np.arange(n))


@pytest.mark.parametrize("seed", [0, 7])
def test_sobol_puts_one_point_into_each_box_of_every_shape(seed):
    rows = np.array(sobol({"lr": (1e-4, 1.0), "beta": (-1, 1, "linear")}, 64, seed=seed)["lr", "beta"])
    unit = np.stack([np.log10(rows[:, 0]) / 4 + 1, (rows[:, 1] + 1) / 2], axis=1)
    for power in range(7):
        boxes = np.floor(unit * [2**power, 2 ** (6 - power)]).astype(int)
        assert len({tuple(box) for box in boxes.tolist()}) == 64


@pytest.mark.parametrize("n", [1, 3, 5, 100])
def test_sobol_extends_the_sequence_for_more_points(n):
    box = {"a": (1, 2), "b": (0, 1, "linear"), "c": (3, 4)}
    more = sobol(box, 128, seed=2)["a", "b", "c"]
    assert sobol(box, n, seed=2) == {("a", "b", "c"): more[:n]}
    assert not set(sobol(box, n, seed=3)["a", "b", "c"]) & set(more)
    np.testing.assert_array_equal(
        sobol(3, 4, n, seed=5), np.sort([row for (row,) in sobol({"a": (3, 4)}, n, seed=5)["a",]])
    )


def test_random_rows_are_independent_draws():
    draws = np.random.default_rng(3).uniform(size=(40, 2))
    rows = np.array(random({"lr": (1e-3, 10.0), "beta": (-1, 3, "linear")}, 40, seed=3)["lr", "beta"])
    np.testing.assert_allclose(rows, np.stack([10 ** (4 * draws[:, 0] - 3), 4 * draws[:, 1] - 1], axis=1), rtol=1e-12)


@pytest.mark.parametrize("draw", [random, sobol])
def test_random_and_sobol_rows_are_a_space(draw):
    rows = draw({"lr": (1e-4, 1), "beta": (0.5, 0.9, "linear")}, n=5)
    assert rows == draw({"lr": (1e-4, 1, "log"), "beta": (0.5, 0.9)}, 5, scale="linear")
    assert all(type(value) is float for row in rows["lr", "beta"] for value in row)
    lr, beta = zip(*rows["lr", "beta"], strict=True)
    for over in (rows, {("lr", "beta"): rows}, {("lr", "beta"): rows["lr", "beta"]}, chain(rows)):
        (block,) = space(over).blocks
        assert (block.dim, [column.tolist() for column in block.columns]) == ("lr_beta", [list(lr), list(beta)])
    (turned,) = space({("beta", "lr"): rows}).blocks
    assert [column.tolist() for column in turned.columns] == [list(beta), list(lr)]
    assert space({**rows, "e": [0, 1, 2]}).shape == (5, 3)
    assert space(chain(rows, {"lr": [2.0]})).blocks[0].columns[1][-1] is ABSENT


@pytest.mark.parametrize("draw", [random, sobol])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (({}, 3), "the mapping of axes to ranges is empty"),
        (({"a": (1, 2)}, 0), "at least one value, not 0"),
        (({"a": (1, 2)},), "at least one value, not None"),
        (({"a": (1,)}, 3), r"the axis 'a' needs \(lo, hi\) or \(lo, hi, scale\), not \(1,\)"),
        (({"a": "ab"}, 3), "the axis 'a' needs"),
        (({"a": 3}, 3), "the axis 'a' needs"),
        (({"a": (1, 2, "lin")}, 3), "scale must be 'log' or 'linear', not 'lin'"),
        (({"a": (0, 2)}, 3), "needs lo and hi above 0, not 0 and 2"),
    ],
)
def test_random_and_sobol_refuse_invalid_ranges(draw, words, said):
    with pytest.raises(SpaceError, match=said):
        draw(*words)


@pytest.mark.parametrize("draw", [random, sobol])
def test_random_and_sobol_of_one_axis_need_both_ends_and_a_count(draw):
    with pytest.raises(TypeError, match="needs lo, hi and n"):
        draw(1, 2)
    with pytest.raises(SpaceError, match="scale must be"):
        draw(1, 2, 3, scale="lin")
