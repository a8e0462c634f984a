"""Search with Optuna: the reported values, the results, and the number of compilations."""

import functools
import sys
import warnings

import numpy as np
import pytest

from gdlab import Stop, problems, rules, sweep
from gdlab.analysis.selection import best
from gdlab.search import SearchError, optuna_search

optuna = pytest.importorskip("optuna")
optuna.logging.set_verbosity(optuna.logging.WARNING)

RANGES = {"lr": (1e-3, 3.0), "beta": (0.0, 0.95, "linear")}
COMPLETE, FAIL = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.FAIL


def search(ranges=RANGES, rule=rules.momentum, *, problem=None, **changed):
    asked = {"trials": 10, "batch": 4, "steps": 12, "seeds": 3, "every": None}
    return optuna_search(problem or problems.quadratic(), rule, ranges, **{**asked, **changed})


def test_optuna_search_reports_the_median_over_seeds_of_a_sweep():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    study.add_trial(optuna.trial.create_trial(state=FAIL))  # trial numbers are those of the study
    data = search(study=study, every=4, seeds=[3, 0, 5])
    assert dict(data.sizes) == {"trial": 10, "seed": 3, "step": 3}
    assert data["final_loss"].dims == ("trial", "seed")
    assert data["lr"].dims == data["beta"].dims == ("trial",)
    np.testing.assert_array_equal(data["trial"], np.arange(1, 11))
    np.testing.assert_array_equal(data["seed"], [3, 0, 5])
    trials = study.trials[1:]
    np.testing.assert_array_equal(data["lr"], [trial.params["lr"] for trial in trials])
    np.testing.assert_array_equal(data["beta"], [trial.params["beta"] for trial in trials])
    np.testing.assert_allclose([trial.value for trial in trials], data["final_loss"].median("seed"), rtol=1e-6)
    rows = list(zip(data["lr"].values, data["beta"].values, strict=True))
    plain = sweep(problems.quadratic(), rules.momentum, {("lr", "beta"): rows, "seed": [3, 0, 5]}, steps=12, every=4)
    assert set(plain.data_vars) == set(data.data_vars)
    for name in plain.data_vars:
        np.testing.assert_allclose(data[name], plain[name], rtol=1e-6, err_msg=str(name))
    top = best(data)
    assert (top["trial"].item(), top["lr"].item()) == (study.best_trial.number, study.best_params["lr"])


def test_optuna_search_compiles_in_the_first_round_only(compilations):
    search(trials=4)
    before = compilations()
    assert before > 0
    found = search(trials=14, sampler_seed=1)
    assert compilations() == before
    assert (found.attrs["compile_seconds"], found.sizes["trial"]) == (0, 14)


def test_optuna_search_leaves_the_diverging_range():
    # With curvature 1, lr 1 is best and lr above 2 diverges: three fifths of the range on its logarithmic scale.
    problem = problems.quadratic(spectrum=(1.0,))
    data = search({"lr": (1e-2, 1e4)}, rules.gd, problem=problem, trials=96, batch=16, steps=5, stop=Stop(bound=1.0))
    lost = (data["diverged_at"] >= 0).all("seed").values
    assert lost[:16].mean() > 0.4
    assert lost[-48:].mean() < 0.45  # 0.7 if diverged trials were reported as failed
    assert best(data)["lr"].item() == pytest.approx(1, abs=0.1)


def test_optuna_search_reports_infinity_for_a_diverged_median():
    study = optuna.create_study()
    for rate in (1e3, 0.5):
        study.enqueue_trial({"lr": rate})
    data = search({"lr": (0.1, 1e4)}, rules.gd, study=study, trials=2, steps=4000)
    assert np.isnan(data["final_loss"].isel(trial=0)).all()
    assert [trial.value for trial in study.trials] == [np.inf, pytest.approx(data["final_loss"][1].median().item())]
    assert {trial.state for trial in study.trials} == {COMPLETE}


def test_optuna_search_maximises_an_accuracy():
    study = optuna.create_study(direction="maximize")
    problem = problems.mlp("wine", widths=(4,))
    data = search({"lr": (1e-3, 1.0)}, rules.gd, problem=problem, study=study, metric="eval_accuracy", trials=6)
    assert study.best_value == pytest.approx(data["eval_accuracy"].median("seed").max().item())
    with pytest.raises(SearchError, match="direction is maximize; for final_loss it must be minimize"):
        search(study=study)
    with pytest.raises(SearchError, match="direction is minimize and maximize"):
        search(study=optuna.create_study(directions=["minimize", "maximize"]))


def test_optuna_search_maximises_a_metric_marked_so(gained):
    data = search({"lr": (1e-3, 1.0)}, rules.gd, problem=gained, metric="eval_gain", trials=6)
    study = optuna.create_study(direction="maximize")
    again = search({"lr": (1e-3, 1.0)}, rules.gd, problem=gained, study=study, metric="eval_gain", trials=6)
    assert study.best_value == pytest.approx(again["eval_gain"].median("seed").max().item())
    assert data["eval_gain"].attrs["direction"] == "max"
    with pytest.raises(SearchError, match="for eval_gain it must be maximize"):
        search(problem=gained, study=optuna.create_study(), metric="eval_gain")


def test_optuna_search_runs_a_repeated_point_once():
    calls = []
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    ranges = {"beta": [0.1, 0.5, 0.9]}
    data = search(ranges, study=study, trials=20, progress=lambda state: calls.append((state.done, state.runs)))
    assert data.sizes["trial"] == len(study.trials) == 20
    assert max(runs for _, runs in calls) <= 4 * 3
    assert sum(done == runs for done, runs in calls) <= 3 * 3  # three points: at most three rounds
    plain = sweep(problems.quadratic(), rules.momentum, {"beta": [0.1, 0.5, 0.9], "seed": 3}, steps=12, every=None)
    for trial, median in zip(study.trials, data["final_loss"].median("seed").values, strict=True):
        assert trial.value == pytest.approx(median)
        assert median == pytest.approx(plain["final_loss"].sel(beta=trial.params["beta"]).median().item(), rel=1e-6)


@pytest.mark.slow
def test_optuna_search_compiles_few_programs_per_choice(compilations):
    def either(lr=0.1, inner=rules.gd):
        return inner(lr)

    ranges = {"lr": (1e-3, 1.0), "inner": [rules.gd, rules.sign_gd]}
    data = search(ranges, either, trials=8, batch=2)
    assert set(data["inner"].values) == {"gd", "sign_gd"}
    signs = data.isel(trial=data["inner"].values == "sign_gd")
    over = {"lr": signs["lr"].values, "seed": 3}
    plain = sweep(problems.quadratic(), rules.sign_gd, over, steps=12, every=None)
    np.testing.assert_allclose(signs["final_loss"], plain["final_loss"], rtol=1e-5)
    before = compilations()
    search(ranges, either, trials=40, batch=2, sampler_seed=5)
    assert compilations() - before <= 2 * 2 * 3  # two options, in widths 1 and 2, three programs each


@pytest.mark.smoke
def test_optuna_search_is_reproducible():
    first, again = search(trials=12), search(trials=12)
    np.testing.assert_array_equal(first["lr"], again["lr"])
    np.testing.assert_array_equal(first["final_loss"], again["final_loss"])
    assert (search(trials=12, sampler_seed=1)["lr"] != first["lr"]).any()


def test_optuna_search_sampler_is_independent_of_optunas_defaults(monkeypatch):
    sampler = optuna.samplers.TPESampler

    def made(multivariate):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.create_study(sampler=sampler(seed=2, constant_liar=True, multivariate=multivariate))

    joint, single = search(study=made(True), trials=16), search(study=made(False), trials=16)
    assert (joint["lr"] != single["lr"]).any()
    for default in (True, False):
        monkeypatch.setattr(optuna.samplers, "TPESampler", functools.partial(sampler, multivariate=default))
        ours = search(trials=16, sampler_seed=2)
        np.testing.assert_array_equal(ours["lr"], joint["lr"])
        np.testing.assert_array_equal(ours["beta"], joint["beta"])


def test_optuna_search_marks_trials_of_a_failed_round_as_failed():
    study = optuna.create_study()
    with pytest.raises(ValueError, match="unknown axis 'bta'"):
        search({"bta": (0.1, 0.9)}, study=study, trials=3)
    assert [trial.state for trial in study.trials] == [FAIL] * 3


def test_optuna_search_keeps_bound_hyperparameters():
    bound = functools.partial(rules.momentum, beta=0.5)
    data = search({"lr": (0.1, 0.2)}, bound, trials=2, batch=2)
    plain = sweep(problems.quadratic(), bound, {"lr": data["lr"].values, "seed": 3}, steps=12, every=None)
    np.testing.assert_allclose(data["final_loss"], plain["final_loss"], rtol=1e-6)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"trials": 0}, "must be at least 1"),
        ({"batch": 0}, "must be at least 1"),
        ({"rule": {"gd": rules.gd}}, "a search takes one rule"),
        ({"ranges": {"lr": (1.0, 0.1)}}, "finite low < high"),
    ],
)
def test_optuna_search_refuses_invalid_arguments(changed, message):
    with pytest.raises(SearchError, match=message):
        search(**changed)


def test_optuna_search_without_optuna_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SearchError, match=r'pip install "gdlab\[search\]"'):
        search()
