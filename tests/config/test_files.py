"""A config file merged over the one that it extends."""

import pytest

from gdlab.config import load

BASE = """\
name: base
problem: {kind: bowl, condition: 3}
rules:
  gd: {kind: gd}
  heavy: {kind: momentum, beta: 0.5}
sweep:
  lr: {log: [0.1, 1, 3]}
  seed: 2
train: {steps: 10, stop: {loss: 0.1}}
record: {probes: [grad_norm]}
"""


@pytest.fixture
def over(write):
    def put(text):
        write(BASE, "shared/base.yaml")
        return load(write("extends: shared/base.yaml\n" + text)).config

    return put


@pytest.mark.smoke
def test_extends_merges_mappings_and_replaces_the_rest(over):
    config = over("name: mine\nrules: {heavy: {beta: 0.9}}\ntrain: {batch_size: 4}\nrecord: {probes: []}\n")
    assert config.name == "mine"
    assert list(config.rules) == ["gd", "heavy"]
    assert config.rules["heavy"].hyperparameters == {"beta": 0.9}
    assert (config.train.steps, config.train.batch_size, config.train.stop.loss) == (10, 4, 0.1)
    assert config.record.probes == []


def test_extends_null_removes_a_mapping_a_list_or_an_axis(over):
    config = over("rules: {heavy: null}\nsweep: {seed: null}\nrecord: {probes: null}\ntrain: {stop: null}\n")
    assert list(config.rules) == ["gd"]
    assert list(config.sweep) == ["lr"]
    assert config.record.probes == []
    assert config.train.stop.loss is None


def test_extends_with_another_kind_or_spacing_replaces_the_old(over):
    config = over("problem: {kind: network, data: wine}\nsweep: {lr: {linear: [1, 2, 3]}}\n")
    assert config.problem.hyperparameters == {"data": "wine"}
    assert config.sweep["lr"] == {"linear": [1, 2, 3]}


def test_extends_merges_the_options_of_an_axis(write):
    write(BASE.replace("log:", "random:"), "base.yaml")
    assert load(write("extends: base.yaml\nsweep: {lr: {seed: 5}}")).config.sweep["lr"] == {
        "random": [0.1, 1, 3],
        "seed": 5,
    }


def test_extends_errors_name_the_file_they_are_in(write, errors_of):
    write(BASE.replace("steps: 10", "steps: -1"), "shared/base.yaml")
    text = errors_of("extends: shared/base.yaml\nrules: {gd: {lr: fast}}\n")
    assert [line for line in text.splitlines() if ".yaml:" in line] == [
        "shared/base.yaml:9:16: train.steps: must be greater than 0, not -1",
        "x.yaml:2:18: rules.gd.lr: must be a number, not 'fast'",
    ]


def test_extends_base_may_extend_another(write):
    write(BASE, "a/base.yaml")
    write("extends: ../a/base.yaml\nname: middle\ntrain: {steps: 20}\n", "b/middle.yaml")
    config = load(write("extends: b/middle.yaml\ntrain: {batch_size: 3}\n")).config
    assert (config.name, config.train.steps, config.train.batch_size) == ("middle", 20, 3)


def test_extends_reports_a_cycle(write, errors_of):
    write("extends: x.yaml\n", "y.yaml")
    assert (
        errors_of("extends: y.yaml\n").splitlines()[0]
        == "y.yaml:1:10: extends: x.yaml extends itself, by way of this file"
    )
    assert (
        errors_of("extends: x.yaml\n").splitlines()[0]
        == "x.yaml:1:10: extends: x.yaml extends itself, by way of this file"
    )


def test_extends_reports_a_missing_base(errors_of):
    assert errors_of("name: a\nextends: no.yaml\n") == (
        "x.yaml:2:10: extends: no.yaml: no such file\n    2 | extends: no.yaml\n      |          ^^^^^^^"
    )
    assert (
        errors_of("extends: [a]\n").splitlines()[0]
        == "x.yaml:1:10: extends: must be the path of a config file, not ['a']"
    )


def test_extends_code_is_relative_to_the_file_that_names_it(write):
    write(BASE + "code: [mine.py]\n", "shared/base.yaml")
    write("from gdlab import register\nregister.probe('mine')(lambda step: step.value)\n", "shared/mine.py")
    config = load(write("extends: ../shared/base.yaml\nrecord: {probes: [mine]}\n", "deep/x.yaml")).config
    assert config.code == ["../shared/mine.py"]
