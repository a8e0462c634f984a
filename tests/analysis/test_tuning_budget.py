"""Expected best of k points against enumeration, the interval over seeds against SciPy, and the printed tables."""

import itertools
import math

import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st

from gdlab.analysis.selection import matters
from gdlab.analysis.tuning_budget import expected_best, seed_interval
from gdlab.cli.printing import print_best
from gdlab.errors import SelectionError

N = 7
SCORES = np.array([0.9, 0.2, 0.5, 0.31, 0.32, 1.4, 0.7])


def sweep_of(*rules, metric="final_loss"):
    """Results of one seed, [lr] scores for each rule; infinite: diverged."""
    scores = np.array(rules, float)
    dims = ("rule", "lr", "seed")
    return xarray.Dataset(
        {metric: (dims, np.where(np.isfinite(scores), scores, np.nan)[..., None])},
        {"rule": [f"r{i}" for i in range(len(scores))], "lr": np.arange(1.0, 1 + scores.shape[1]), "seed": [0]},
    )


def seeds_of(runs, metric="final_loss"):
    """Results [lr, seed]; infinite: diverged."""
    runs = np.asarray(runs, float)
    lost = ~np.isfinite(runs)
    return xarray.Dataset(
        {
            metric: (("lr", "seed"), np.where(lost, np.nan, runs)),
            "diverged_at": (("lr", "seed"), np.where(lost, 4, -1)),
        },
        {"lr": np.arange(1.0, 1 + len(runs)), "seed": np.arange(runs.shape[1])},
    )


def every_best(scores, k, replacement=False):
    """The best score of each choice of k points; all choices are equally likely."""
    choices = itertools.product(scores, repeat=k) if replacement else itertools.combinations(scores, k)
    return np.array([min(choice) for choice in choices])


@pytest.mark.parametrize("replacement", [False, True])
@settings(derandomize=True, deadline=None, max_examples=30)
@given(
    scores=st.lists(st.sampled_from([0.1, 0.1, 0.25, 0.7, 2.0, np.inf]), min_size=2, max_size=6), k=st.integers(1, 5)
)
def test_it_is_what_all_choices_of_k_points_give(replacement, scores, k):
    found = expected_best(sweep_of(scores), k=k, replacement=replacement, resamples=2).sel(rule="r0", k=k)
    if len(set(scores)) == 1:
        assert found["points"] == 1  # an axis without effect adds no points
        return
    assert found["points"] == len(scores)
    if k > len(scores) and not replacement:
        assert all(np.isnan(found[name]) for name in ("expected", "median", "all_diverged", "median_low"))
        return
    choices = every_best(scores, k, replacement)
    np.testing.assert_allclose(found["all_diverged"], np.mean(np.isinf(choices)), atol=1e-12)
    np.testing.assert_allclose(found["expected"], np.mean(choices), rtol=1e-12)
    np.testing.assert_allclose(found["median"], np.median(choices), rtol=1e-12)


def test_without_replacement_all_points_give_the_best_and_with_it_a_worse_one():
    data = sweep_of(SCORES)
    assert expected_best(data, k=N)["expected"].item() == pytest.approx(SCORES.min(), rel=1e-12)
    drawn = np.random.default_rng(0).choice(SCORES, (400_000, N)).min(axis=1)
    with_replacement = expected_best(data, k=N, replacement=True)["expected"].item()
    assert with_replacement == pytest.approx(drawn.mean(), abs=4 * drawn.std() / math.sqrt(len(drawn)))
    assert with_replacement > SCORES.min() + 0.04


def test_without_replacement_is_unbiased_for_further_draws_and_with_it_is_not():
    draws = np.random.default_rng(1).uniform(size=(3000, 8))
    data = sweep_of(*draws)
    truth, k = 1 / 6, 5  # the mean of the least of k uniform draws is 1 / (k + 1)
    for replacement, biased in ((False, False), (True, True)):
        values = expected_best(data, k=k, replacement=replacement, resamples=1)["expected"].values.ravel()
        error = abs(values.mean() - truth) / (values.std() / math.sqrt(len(values)))
        assert (error > 8) == biased


def test_an_interval_holds_the_truth_as_often_as_it_says():
    draws = np.random.default_rng(2).uniform(size=(400, 24))
    found = expected_best(sweep_of(*draws), k=3, resamples=400, confidence=0.9)
    held = (found["expected_low"] <= 0.25) & (found["expected_high"] >= 0.25)
    assert 0.84 < held.mean() < 0.94
    truth = 1 - 0.5 ** (1 / 3)
    assert 0.82 < ((found["median_low"] <= truth) & (found["median_high"] >= truth)).mean() < 0.97


@pytest.mark.smoke
def test_its_interval_is_that_of_scipy():
    from scipy.stats import bootstrap

    weights = every_best(range(N), 3)  # of the sorted scores, how often each is the best
    weights = np.bincount(weights, minlength=N) / len(weights)

    def statistic(sample, axis):
        return (np.sort(sample, axis=axis) * weights).sum(axis=axis)

    theirs = bootstrap((SCORES,), statistic, method="percentile", n_resamples=20_000, rng=np.random.default_rng(0))
    ours = expected_best(sweep_of(SCORES), k=3, resamples=20_000).squeeze()
    assert ours["expected_low"].item() == pytest.approx(theirs.confidence_interval.low, abs=0.01)
    assert ours["expected_high"].item() == pytest.approx(theirs.confidence_interval.high, abs=0.01)


def test_rules_have_points_of_their_own():
    data = xarray.concat([sweep_of([3.0, 1.0, 2.0], [5.0, 6.0, np.inf])] * 2, "beta").assign_coords(beta=[0.0, 0.9])
    data["final_loss"].loc[{"beta": 0.9, "rule": "r1"}] = np.array([[4.0], [7.0], [np.nan]])
    found = expected_best(data)
    np.testing.assert_array_equal(found["k"], [1, 2, 4, 6])
    np.testing.assert_array_equal(found["points"], [3, 6])
    np.testing.assert_array_equal(np.isnan(found["median"]), [[False, False, True, True], [False] * 4])
    assert found["median"].sel(rule="r1", k=6) == 4
    np.testing.assert_allclose(found["all_diverged"].sel(rule="r1"), [1 / 3, 1 / 15, 0, 0], atol=1e-12)
    assert np.isinf(found["expected"].sel(rule="r1", k=2))
    assert np.isfinite(found["expected"].sel(rule="r1", k=4))


def test_a_rule_that_diverged_at_every_rate_still_tried_them_all():
    data = seeds_of([[np.inf] * 3] * 4)
    data["diverged_at"][:] = np.arange(4)[:, None]
    assert matters(data, "final_loss", "lr")
    found = expected_best(data, k=[1, 4])
    assert found["points"] == 4
    np.testing.assert_array_equal(found["all_diverged"], [1, 1])
    np.testing.assert_array_equal(found["median_low"], [np.inf, np.inf])


def test_of_an_accuracy_the_greatest_is_best():
    ours = expected_best(sweep_of(-SCORES, metric="eval_accuracy"), "eval_accuracy", k=[2, 4])
    mirrored = expected_best(sweep_of(SCORES), k=[2, 4])
    for name, other in (("expected", "expected"), ("median", "median"), ("median_low", "median_high")):
        np.testing.assert_array_equal(ours[name], -mirrored[other])
    assert (ours["expected_low"] < ours["expected"]).all()
    assert expected_best(sweep_of([0.5, np.inf], metric="eval_accuracy"), "eval_accuracy", 1)["expected"] == -np.inf


def test_the_same_seed_gives_the_same_interval():
    data = sweep_of(SCORES)
    xarray.testing.assert_identical(expected_best(data, seed=3), expected_best(data, seed=3))
    assert not expected_best(data, seed=3, resamples=50).equals(expected_best(data, seed=4, resamples=50))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"k": 0}, "of at least 1, not 0"),
        ({"k": [1, 2.5]}, "must be an integer"),
        ({"confidence": 95}, "between 0 and 1, not 95"),
        ({"resamples": 0}, "at least one resample"),
        ({"metric": "loss"}, "there is no 'loss'"),
    ],
)
def test_what_makes_no_sense_is_refused(asked, said):
    with pytest.raises(SelectionError, match=said):
        expected_best(sweep_of(SCORES), **asked)


@pytest.mark.parametrize("seeds", [5, 8])
def test_the_seeds_interval_is_that_of_scipy_at_the_chosen_point(seeds):
    from scipy.stats import bootstrap

    runs = np.random.default_rng(seeds).lognormal(size=(3, seeds)) + np.array([[5.0], [0.0], [2.0]])
    ours = seed_interval(seeds_of(runs))
    theirs = bootstrap((runs[1],), np.median, method="percentile", n_resamples=20_000, rng=np.random.default_rng(0))
    assert ours["low"].item() == pytest.approx(theirs.confidence_interval.low, abs=0.02)
    assert ours["high"].item() == pytest.approx(theirs.confidence_interval.high, abs=0.02)
    assert (ours["median"].item(), ours["seeds"].item()) == (np.median(runs[1]), seeds)
    assert ours["coverage"].item() == pytest.approx(min(0.95, 1 - 2 ** (1 - seeds)))
    assert not ours.coords


def test_another_metric_is_told_of_the_point_that_the_first_chooses():
    data = seeds_of([[3.0, 3.1, 3.2], [1.0, 1.1, 1.2]])
    data["eval_accuracy"] = (("lr", "seed"), [[0.9] * 3, [0.5, 0.6, 0.7]])
    assert seed_interval(data, of="eval_accuracy")["median"] == 0.6
    assert seed_interval(data, "eval_accuracy")["median"] == 0.9


def test_a_diverged_seed_opens_the_interval_and_a_rule_that_diverged_has_none():
    one = seed_interval(seeds_of([[1.0, 2.0, 3.0, 4.0, np.inf]]))
    assert (one["low"].item(), one["median"].item(), one["high"].item()) == (1.0, 3.0, np.inf)
    none = seed_interval(seeds_of([[1.0, np.inf, np.inf]]))
    assert all(np.isnan(none[name]) for name in ("low", "median", "high", "coverage"))


def test_two_seeds_make_no_interval():
    found = seed_interval(seeds_of([[1.0, 2.0]]))
    assert np.isnan([found[name].item() for name in ("low", "high", "coverage")]).all()
    assert (found["median"].item(), found["seeds"].item()) == (1.5, 2)
    assert seed_interval(seeds_of([[1.0]]).isel(seed=0, drop=True))["seeds"] == 1


def test_the_tables_fit_a_hundred_columns_and_tell_the_numbers(capsys):
    rng = np.random.default_rng(0)
    rates = np.geomspace(1e-4, 10, 25)
    losses = 0.1 + np.abs(np.log(rates / 0.05))[None, :, None] * rng.uniform(0.9, 1.1, (3, 25, 4))
    losses[:, 20:] = np.nan
    losses[1, 14:] = np.nan
    losses[2] = np.nan
    dims = ("rule", "lr", "seed")
    data = xarray.Dataset(
        {
            "final_loss": (dims, losses),
            "diverged_at": (dims, np.where(np.isnan(losses), 5 + np.arange(25)[:, None], -1)),
            "eval_loss": (dims, losses * 2),
            "eval_accuracy": (dims, 1 - losses / 10),
            "loss": ((*dims, "step"), np.full((*losses.shape, 1), 9.0)),
        },
        {"rule": ["momentum", "adagrad", "always"], "lr": rates, "seed": range(4), "step": [0]},
    )
    print_best(data, "final_loss", (1, 4, 16))
    text = capsys.readouterr().out
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "with a coverage of at most 88%" in text
    choice, rates_table, budget = text.strip().split("\n\n")
    assert [line.split()[0] for line in choice.splitlines()[:4]] == ["rule", "momentum", "adagrad", "always"]
    assert "diverged" in choice.splitlines()[3]
    assert rates_table.splitlines()[3].split() == ["always", "-", "-", "-"]
    found = expected_best(data, k=4).sel(k=4)
    said = budget.splitlines()[1]
    assert said.split()[:2] == ["momentum", "25"]
    assert f"{found['median'].values[0]:.2g} ({found['median_low'].values[0]:.2g} to " in said
    print_best(data, "eval_accuracy", (1,))
    found = expected_best(data, "eval_accuracy", 1).sel(k=1)
    assert f" {found['median'].values[1]:.2g} (-inf to " in capsys.readouterr().out
    assert budget.splitlines()[3].split() == ["always", "25", *["diverged"] * 4]


def test_too_few_seeds_are_said_so(capsys):
    print_best(sweep_of(SCORES), "final_loss")
    assert "no seed interval: it needs 3 seeds" in capsys.readouterr().out
