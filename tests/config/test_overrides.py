"""Overrides from the command line."""

import pytest

from gdlab.config import load

BASE = """\
name: trial
problem: {kind: bowl}
rules:
  gd: {kind: gd, lr: {kind: cosine, peak: 1, steps: 5}}
  v1.5: {kind: momentum, beta: 0.5}
sweep:
  beta: {random: [0.1, 0.9, 3]}
train: {steps: 10, batch_size: 4}
code: []
"""


@pytest.fixture
def changed(write):
    return lambda *changes: load(write(BASE.replace(", beta: 0.5", "")), changes).config


def test_override_values_are_yaml(changed):
    assert changed("train.steps=2000").train.steps == 2000
    assert changed("train.stop={loss: 1e-3}").train.stop.loss == 0.001
    assert changed("name=no").name == "no"
    assert changed("train.batch_size=null").train.batch_size is None
    assert changed("figures=[curves]").figures[0].kind == "curves"


def test_override_names_with_dots(changed):
    assert changed("rules.v1.5.lr=0.2").rules["v1.5"].hyperparameters == {"lr": 0.2}
    assert changed("rules.gd.lr.peak=3").rules["gd"].hyperparameters["lr"]["peak"] == 3
    assert changed("sweep.problem.condition=[1, 2]").sweep["problem.condition"] == [1, 2]
    assert changed("sweep.problem.condition.log=[1, 2, 3]").sweep["problem.condition"] == {"log": [1, 2, 3]}
    assert changed("sweep.lr.floor=[0, 1]").sweep["lr.floor"] == [0, 1]
    assert changed("sweep.seed=2").sweep["seed"] == 2


def test_override_replaces_axes_and_merges_their_options(changed):
    assert changed("sweep.beta=[0.1, 0.2]").sweep["beta"] == [0.1, 0.2]
    assert changed("sweep.beta.linear=[0, 1, 5]").sweep["beta"] == {"linear": [0, 1, 5]}
    assert changed("sweep.beta=[0.1, 0.2]", "sweep.beta.log=[0.1, 1, 5]").sweep["beta"] == {"log": [0.1, 1, 5]}
    assert changed("sweep.beta.scale=linear").sweep["beta"] == {"random": [0.1, 0.9, 3], "scale": "linear"}
    assert changed("sweep.beta.seed=4").sweep["beta"] == {"random": [0.1, 0.9, 3], "seed": 4}
    assert changed("sweep.beta=", "sweep.lr.peak, beta=[[1, 2]]", "rules.gd.lr.peak=").sweep == {
        "lr.peak, beta": [[1, 2]]
    }


def test_override_numbers_count_along_a_list(changed):
    figures = changed(
        "figures=[{kind: curves}, curves, curves]", "figures.0.levels=4", "figures.2=", "figures.1={kind: curves}"
    ).figures
    assert [figure.hyperparameters for figure in figures] == [{"levels": 4}, {}]
    assert changed("sweep.beta=[0.1, 0.2]", "rules.v1.5.lr=[1]", "rules.v1.5.lr=1").sweep["beta"] == [0.1, 0.2]


def test_override_removes(changed):
    assert changed("train.batch_size=").train.batch_size is None
    assert list(changed("rules.gd=null").rules) == ["v1.5"]
    assert changed("sweep.beta=null").sweep == {}
    assert changed("rules.gd.lr=", "sweep.lr=[1]").rules["gd"].hyperparameters == {}


def test_override_later_changes_win_but_a_kind_comes_first(changed):
    assert changed("train.steps=5", "train.steps=6").train.steps == 6
    gd = changed("rules.gd.lr=0.5", "rules.gd.beta=0.5", "rules.gd.kind=momentum", "sweep.beta=").rules["gd"]
    assert gd.hyperparameters == {"lr": 0.5, "beta": 0.5}


def test_override_wins_over_both_files(write):
    write(BASE, "base.yaml")
    path = write("extends: base.yaml\nsweep: {beta: null}\ntrain: {steps: 20}")
    assert load(path).config.train.steps == 20
    assert load(path, ["train.steps=30"]).config.train.steps == 30


MISTAKES = [
    ("train.steps=-5", "train.steps: must be greater than 0, not -5", "train.steps=-5", "            ^^"),
    ("trian.steps=5", "trian: unknown key", "trian.steps=5", "^^^^^"),
    (
        "rules.gd.momentum=5",
        "rules.gd.momentum: the rule gd has no hyperparameter momentum",
        "rules.gd.momentum=5",
        "         ^^^^^^^^",
    ),
    ("steps", "must be KEY=VALUE, such as train.steps=2000", "steps", "^^^^^"),
    ("=5", "must be KEY=VALUE, such as train.steps=2000", "=5", "^^"),
    (
        "train.steps=[1",
        "train.steps: not valid YAML: expected ',' or ']', but got '<stream end>'",
        "train.steps=[1",
        "              ^",
    ),
    ("name=\udcff", "must be UTF-8 text without control characters", "'name=\\udcff'", "^^^^^^^^^^^^^"),
    ("name=# x", "name: the value is only a comment", "name=# x", "     ^^^"),
    ("train..steps=1", "train..steps: there is no name before or after a dot", "train..steps=1", "^^^^^^^^^^^^"),
    ("sweep.=1", "sweep.: there is no name before or after a dot", "sweep.=1", "^^^^^^"),
    (
        "train.steps.x=1",
        "train.steps.x: train.steps is not a mapping, so no key can be set in it",
        "train.steps.x=1",
        "^^^^^^^^^^^^^",
    ),
    ("figures.0=1", "figures: must be a list, not a mapping", "figures.0=1", "^^^^^^^^^"),
    ("code.0=1", "code.0: code is a list of 0, counted from 0", "code.0=1", "^^^^^^"),
    ("train.sampling=", "train.sampling: there is no such key to remove", "train.sampling=", "^^^^^^^^^^^^^^"),
    ("sweep.foo=[1]", "sweep.foo: no rule has a hyperparameter foo", "sweep.foo=[1]", "      ^^^"),
    (
        "sweep.beta.log=[0, 1, 2]",
        "sweep.beta.log[0]: must be above 0 on a logarithmic axis, not 0",
        "sweep.beta.log=[0, 1, 2]",
        "                ^",
    ),
    (
        "train={steps: 1, steps: 2}",
        "train: the key 'steps' is given twice",
        "train={steps: 1, steps: 2}",
        "                 ^^^^^",
    ),
]


@pytest.mark.parametrize(("change", "message", "text", "caret"), MISTAKES, ids=[case[0] for case in MISTAKES])
def test_override_errors(change, message, text, caret, errors_of):
    lines = errors_of(BASE.replace(", beta: 0.5", ""), change).splitlines()
    assert lines[:3] == [f"command line: {message}", f"  {text}", f"  {caret}"]


def test_override_malformed_is_reported_together_with_an_unreadable_file(errors_of):
    assert errors_of("[", "steps").splitlines()[-3:] == [
        "command line: must be KEY=VALUE, such as train.steps=2000",
        "  steps",
        "  ^^^^^",
    ]


def test_override_missing_field_is_reported_in_the_file(errors_of):
    text = errors_of(BASE.replace("steps: 10, ", "").replace(", beta: 0.5", ""), "train.sampling=shuffle")
    assert text.splitlines()[0] == "x.yaml:8:1: train.steps: is missing"
