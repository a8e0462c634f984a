"""Axes drawn together: their values and errors."""

import numpy as np
import pytest

from gdlab.config import load
from gdlab.engine import axes
from gdlab.engine.space import space

HEAD = "name: t\nproblem: {kind: bowl}\nrules: {m: {kind: momentum}}\ntrain: {steps: 3}\nsweep:\n"


@pytest.fixture
def swept(write):
    return lambda axis: load(write(f"{HEAD}  {axis}")).over


@pytest.mark.parametrize(("form", "draw"), [("random", axes.random), ("sobol", axes.sobol)])
def test_spacing_of_one_axis_has_a_scale_and_a_seed(swept, form, draw):
    np.testing.assert_array_equal(swept(f"lr: {{{form}: [0.1, 1, 5]}}")["lr"], draw(0.1, 1, 5))
    found = swept(f"lr: {{{form}: [0, 1, 5], scale: linear, seed: 4}}")["lr"]
    np.testing.assert_array_equal(found, draw(0, 1, 5, scale="linear", seed=4))


@pytest.mark.parametrize(("form", "draw"), [("random", axes.random), ("sobol", axes.sobol)])
def test_spacing_of_several_axes_has_the_order_of_their_names(swept, form, draw):
    found = swept(f"beta, lr: {{{form}: {{lr: [1e-4, 1], beta: [0.5, 0.99, linear]}}, n: 6, seed: 3}}")
    assert found == draw({"beta": (0.5, 0.99, "linear"), "lr": (1e-4, 1)}, 6, seed=3)
    assert space(found).blocks[0].dim == "beta_lr"


def test_spacing_scale_of_one_axis_wins_over_that_of_all(swept):
    found = swept("lr, beta: {random: {lr: [1e-4, 1, log], beta: [0, 1]}, n: 6, scale: linear}")
    assert found == axes.random({"lr": (1e-4, 1, "log"), "beta": (0, 1)}, 6, scale="linear")


def test_spacing_options_can_be_overridden(write):
    path = write(HEAD + "  lr, beta: {sobol: {lr: [1, 2], beta: [1, 3]}, n: 4}")
    changed = load(path, ["sweep.lr, beta.n=8", "sweep.lr, beta.seed=2"]).config.sweep["lr, beta"]
    assert changed == {"sobol": {"lr": [1, 2], "beta": [1, 3]}, "n": 8, "seed": 2}
    other = load(path, ["sweep.lr, beta={random: {lr: [1, 2], beta: [1, 3]}, n: 3}"]).config.sweep["lr, beta"]
    assert other == {"random": {"lr": [1, 2], "beta": [1, 3]}, "n": 3}


WRONG = [
    ("{}", "6:13: an axis needs one of random and sobol"),
    ("{sobl: {}}", "6:14: an axis has no option sobl here: did you mean sobol?"),
    ("{log: [1, 2, 3]}", "6:14: an axis has no option log here"),
    ("{sobol: {lr: [1, 2], beta: [1, 2]}}", "6:13: n, the number of rows, is missing"),
    ("{sobol: {lr: [1, 2], beta: [1, 2]}, n: 0}", "6:52: must be a count of values from 1 to 10000000, not 0"),
    ("{sobol: {lr: [1, 2], beta: [1, 2]}, n: 4, random: {}}", "6:55: the axis already has the spacing sobol"),
    ("{sobol: [1, 2, 3], n: 4}", "6:21: must give each axis its ends, {lr: [lo, hi], ...}, not [1, 2, 3]"),
    ("{sobol: {lr: [1, 2]}, n: 4}", "6:21: the ends of beta are missing"),
    ("{sobol: {lr: [1, 2], bta: [1, 2]}, n: 4}", "6:34: is not one of the axes lr, beta: did you mean beta?"),
    ("{sobol: {lr: [1, 2], beta: [1, 2], x: [1, 2]}, n: 4}", "6:48: is not one of the axes lr, beta"),
    ("{sobol: {lr: [1], beta: [1, 2]}, n: 4}", "6:26: must be [lo, hi] or [lo, hi, scale], not [1]"),
    ("{sobol: {lr: [1, 2, lin], beta: [1, 2]}, n: 4}", "6:33: must be log or linear, not 'lin'"),
    ("{sobol: {lr: [0, 2], beta: [1, 2]}, n: 4}", "6:27: must be above 0 on a logarithmic axis, not 0"),
    ("{sobol: {lr: [0, 2, linear], beta: [1, .inf]}, n: 4}", "6:52: must be a number, not inf"),
    ("{sobol: {lr: [1, 2], beta: [1, 2]}, n: 4, seed: -1}", "6:61: must be a whole number from 0, not -1"),
    ("{sobol: {lr: [1, 2], beta: [1, 2]}, n: 4, scale: 3}", "6:62: must be log or linear, not 3"),
    ("{sobol: {lr: [1, 2], beta: [1, 2]}, n: 4, sede: 1}", "6:55: an axis has no option sede here: did you mean seed?"),
]


@pytest.mark.parametrize(("written", "expected"), WRONG, ids=[written for written, _ in WRONG])
def test_spacing_reports_one_error(written, expected, errors_of):
    lines = errors_of(f"{HEAD}  lr, beta: {written}").splitlines()
    place, _, message = lines[0].removeprefix("x.yaml:").partition(": sweep.lr, beta")
    hint = f": {lines[3].strip()}" if lines[3:] and "did you mean" in lines[3] else ""
    assert f"{place}: {message.partition(': ')[2]}{hint}" == expected
    assert len(lines) <= 4


def test_spacing_reports_all_errors_at_once(errors_of):
    text = errors_of(HEAD + "  lr, beta: {sobol: {lr: [0, 2], beta: [1, 2, x]}, n: -1, seed: a, scle: b}")
    assert [line.split(": ")[0] for line in text.splitlines() if line.startswith("x.yaml")] == [
        f"x.yaml:6:{column}" for column in (27, 47, 55, 65, 68)
    ]


def test_spacing_values_must_be_valid_for_the_parameters_they_set(errors_of):
    text = errors_of(HEAD + "  lr, form: {sobol: {lr: [1, 2], form: [1, 2]}, n: 4}")
    assert "sweep.lr, form: each value must be sum or mean, so this axis is a list" in text
