"""Which runs a landscape shows, chosen from results with known losses."""

import numpy as np
import pytest
import xarray

import gdlab.figures  # noqa: F401
from gdlab.config import load
from gdlab.errors import SelectionError
from gdlab.experiment.run_selection import all_runs, best_runs, nearest_values, one_run

TEXT = """\
name: selection
problem: {kind: PROBLEM}
rules: {gd: {kind: gd}, heavy: {kind: momentum}}
sweep: {lr: [0.1, 0.2, 0.4], seed: 2}
train: {steps: 4}
"""
LOSS = np.array([[[3.0, 3], [1, 2], [np.inf, np.inf]], [[np.inf, np.inf], [np.inf, np.inf], [np.inf, np.inf]]])
STEPS = np.array([[[4, 4], [4, 4], [2, 2]], [[3, 3], [2, 2], [1, 1]]])


@pytest.fixture
def data():
    """gd is best at lr 0.2; every run of heavy diverged, at lr 0.1 the latest."""
    dims = ("rule", "lr", "seed")
    diverged = np.where(np.isinf(LOSS), STEPS, -1)
    arrays = {
        "final_loss": LOSS,
        "diverged_at": diverged,
        "steps_taken": STEPS,
        "converged_at": np.full_like(STEPS, -1),
    }
    return xarray.Dataset(
        {name: (dims, values) for name, values in arrays.items()},
        {"rule": ["gd", "heavy"], "lr": [0.1, 0.2, 0.4], "seed": [0, 1]},
    )


def resolved(tmp_path, problem="rosenbrock"):
    (tmp_path / "c.yaml").write_text(TEXT.replace("PROBLEM", problem))
    return load(tmp_path / "c.yaml")


def lrs(selection):
    return [(one.rule, one.values["lr"], one.values["seed"]) for one in selection.shown]


def test_best_runs_shows_the_longest_run_of_a_diverged_rule_in_two_dimensions(tmp_path, data):
    selection = best_runs(resolved(tmp_path), data)
    assert lrs(selection) == [("gd", 0.2, 0), ("heavy", 0.1, 0)]
    assert selection.diverged == [False, True]


def test_best_runs_leaves_a_diverged_rule_out_in_more_dimensions(tmp_path, data):
    selection = best_runs(resolved(tmp_path, "quadratic, spectrum: [1, 2, 5]"), data)
    assert lrs(selection) == [("gd", 0.2, 0)]


def test_all_runs_are_those_of_the_first_seed(tmp_path, data):
    selection = all_runs(resolved(tmp_path), data)
    assert lrs(selection) == [(rule, lr, 0) for rule in ("gd", "heavy") for lr in (0.1, 0.2, 0.4)]
    assert selection.diverged == [False, False, True, True, True, True]


def test_one_run_matches_numbers_within_printed_digits(tmp_path, data):
    selection = one_run(resolved(tmp_path), data, {"rule": "heavy", "lr": "0.40001", "seed": 1})
    assert lrs(selection) == [("heavy", 0.4, 1)]
    assert selection.diverged == [True]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"lr": 7}, "lr has no value 7 in this sweep; the nearest value is 0.4"),
        ({"lr": "nan"}, "lr has no value nan in this sweep"),
        ({"lr": "x"}, "lr must be a number, not 'x'"),
        ({"rule": "adam"}, "rule has no value 'adam'; it has gd, heavy"),
        ({"beta": 1}, "there is no axis 'beta'"),
    ],
)
def test_one_run_refuses_values_that_are_not_in_the_sweep(tmp_path, data, wanted, message):
    with pytest.raises(SelectionError, match=message):
        one_run(resolved(tmp_path), data, wanted)


def test_nearest_values_replaces_numbers_within_the_range_and_reports_it(data):
    values, notices = nearest_values(data, {"rule": "gd", "lr": "0.19", "seed": "1"})
    assert values == {"rule": "gd", "lr": 0.2, "seed": 1}
    assert notices == ["lr has no value 0.19 in this sweep; the nearest value is 0.2"]
    assert nearest_values(data, {"lr": "7"}) == ({"lr": "7"}, [])
    assert nearest_values(data, {"lr": "nan"}) == ({"lr": "nan"}, [])
