"""Hyperband: its draws, and each bracket against a separate halving."""

import numpy as np
import pytest

import gdlab
from gdlab import problems, rules
from gdlab.analysis.selection import best
from gdlab.engine.axes import random, sobol
from gdlab.search import SearchError, halving, hyperband

RANGES = {"lr": (1e-3, 1e3), "beta": (0.0, 0.9)}


def search(ranges=RANGES, rule=rules.momentum, **changed):
    asked = {"steps": 81, "first": 1, "seeds": 2, "chunk": 8}
    return hyperband(problems.quadratic(), rule, ranges, **{**asked, **changed})


@pytest.fixture(scope="module")
def whole():
    return search()


def test_hyperband_has_the_brackets_of_the_paper(whole):
    assert dict(whole.sizes) == {"trial": 143, "seed": 2, "step": 81}
    assert whole["lr"].dims == whole["beta"].dims == whole["bracket"].dims == ("trial",)
    np.testing.assert_array_equal(whole["bracket"], np.repeat([4, 3, 2, 1, 0], [81, 34, 15, 8, 5]))
    assert whole.attrs["rung_steps"] == [1, 3, 9, 27, 81]
    reached = {s: np.bincount(whole["rung"].values[whole["bracket"] == s, 0], minlength=5).tolist() for s in range(5)}
    assert reached == {
        4: [54, 18, 6, 2, 1],
        3: [0, 23, 8, 2, 1],
        2: [0, 0, 10, 4, 1],
        1: [0, 0, 0, 6, 2],
        0: [0, 0, 0, 0, 5],
    }
    spent = [
        81 + 27 * 2 + 9 * 6 + 3 * 18 + 54,
        34 * 3 + 11 * 6 + 3 * 18 + 54,
        15 * 9 + 5 * 18 + 54,
        8 * 27 + 2 * 54,
        5 * 81,
    ]
    assert whole.attrs["budget"] == 2 * sum(spent)
    assert np.ptp(spent) < 0.4 * max(spent)


@pytest.mark.smoke
@pytest.mark.parametrize("bracket", [4, 2])
def test_hyperband_bracket_equals_a_halving(bracket, whole):
    ours = whole.isel(trial=(whole["bracket"] == bracket).values)
    rows = list(zip(ours["lr"].values.tolist(), ours["beta"].values.tolist(), strict=True))
    over = {("lr", "beta"): rows, "seed": 2}
    alone = halving(problems.quadratic(), rules.momentum, over, steps=81, first=3 ** (4 - bracket), chunk=8)
    np.testing.assert_array_equal(ours["rung"], alone["rung"] + (4 - bracket))
    for name in set(alone.data_vars) - {"rung"}:
        np.testing.assert_array_equal(ours[name].values, alone[name].values, err_msg=str(name))


def test_hyperband_draws_points_from_the_ranges(whole):
    assert (whole["lr"].min(), whole["lr"].max()) == (pytest.approx(1e-3, rel=0.3), pytest.approx(1e3, rel=0.3))
    shares = np.log(whole["lr"].values / 1e-3) / np.log(1e6)
    rows = random({"lr": (0, 1), "beta": (0, 1)}, 143, scale="linear", seed=0)["lr", "beta"]
    np.testing.assert_allclose(shares, np.array(rows)[:, 0], atol=1e-12)
    np.testing.assert_allclose(whole["beta"], 0.9 * np.array(rows)[:, 1], atol=1e-12)


def test_hyperband_draws_depend_on_the_seed_and_may_be_sobol():
    settings = {"steps": 9, "seeds": 1}
    first, again, other = search(**settings), search(**settings), search(**settings, seed=1)
    np.testing.assert_array_equal(first["lr"], again["lr"])
    np.testing.assert_array_equal(first["final_loss"], again["final_loss"])
    assert (first["lr"] != other["lr"]).any()
    even = search(**settings, draw="sobol", seed=4)
    rows = sobol({"lr": (0, 1), "beta": (0, 1)}, even.sizes["trial"], scale="linear", seed=4)["lr", "beta"]
    np.testing.assert_allclose(even["beta"], 0.9 * np.array(rows)[:, 1], atol=1e-12)


def test_hyperband_best_is_the_best_of_the_full_runs(whole):
    top = best(whole)
    ended = whole["rung"].sel(seed=0) == 4
    assert ended.sel(trial=top["trial"].item())
    least = whole["final_loss"].median("seed", skipna=False).where(ended).min()
    assert top["final_loss"].item() == pytest.approx(least.item(), rel=1e-6)


def test_hyperband_compiles_nothing_for_other_draws(compilations, whole):
    before = compilations()
    other = search(seed=5, seeds=[3, 9])
    assert compilations() == before
    assert other.attrs["compile_seconds"] == 0


def test_hyperband_ranks_equal_points_in_their_own_brackets():
    found = search({"beta": [0.1, 0.5]}, steps=9)
    assert np.bincount(found["bracket"]).tolist() == [3, 5, 9]
    assert [(found["rung"].values[found["bracket"] == s, 0] == 2).sum() for s in range(3)] == [3, 1, 1]
    for beta in (0.1, 0.5):
        ended = found.isel(trial=((found["beta"] == beta) & (found["rung"].isel(seed=0) == 2)).values)["final_loss"]
        np.testing.assert_array_equal(ended, np.broadcast_to(ended[:1], ended.shape))
    assert set(found["beta"].values) == {0.1, 0.5}


def test_hyperband_labels_options_by_their_names():
    def either(lr=0.1, inner=rules.gd):
        return inner(lr)

    found = search({"lr": (1e-3, 0.1), "inner": [rules.gd, rules.sign_gd]}, either, steps=9, first=3)
    assert set(found["inner"].values) == {"gd", "sign_gd"}
    assert found["final_loss"].notnull().all()


@pytest.mark.parametrize(
    ("asked", "rungs"),
    [
        ({"steps": 162}, [2, 6, 18, 54, 162]),
        ({"steps": 7}, [1, 7]),
        ({"steps": 170, "every": 2}, [2, 6, 18, 54, 170]),
        ({"steps": 48, "eta": 2}, [3, 6, 12, 24, 48]),
    ],
)
def test_hyperband_default_first_rung(asked, rungs):
    found = search({"lr": (1e-3, 1.0)}, rules.gd, first=None, seeds=1, **asked)
    assert found.attrs["rung_steps"] == rungs
    assert set(found["bracket"].values) == set(range(len(rungs)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ranges": {}}, "ranges is empty"),
        ({"ranges": {"lr": (1.0, 0.1)}}, "finite low < high"),
        ({"rule": {"gd": rules.gd}}, "a search takes one rule"),
        ({"draw": "halton"}, "draw must be 'random' or 'sobol', not 'halton'"),
        ({"eta": 1, "first": None}, "eta must be an integer of at least 2"),
        ({"first": 100}, "between 1 and steps=81"),
        ({"every": 2}, "first must be a multiple"),
    ],
)
def test_hyperband_refuses_invalid_arguments(changed, message):
    with pytest.raises(SearchError, match=message):
        search(**changed)


def test_hyperband_names_an_unknown_axis():
    with pytest.raises(gdlab.engine.axis_values.SpaceError, match="unknown axis 'bta'"):
        search({"bta": (0.1, 0.9)})
