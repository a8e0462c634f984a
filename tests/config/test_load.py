"""Errors of a file that can't be read, and the layout of messages."""

import time

import pytest

from gdlab.config import ConfigError, load

BASE = "name: trial\nproblem: {kind: bowl}\nrules: {gd: {kind: gd}}\ntrain: {steps: 10}\n"

SYNTAX = [
    ("", "x.yaml: the file is empty"),
    ("# nothing\n", "x.yaml: the file is empty"),
    ("[1, 2]", "x.yaml:1:1: a config is a mapping, not [1, 2]"),
    ("words", "x.yaml:1:1: a config is a mapping, not 'words'"),
    ("a: [1, 2", "x.yaml:1:9: not valid YAML: expected ',' or ']', but got '<stream end>'"),
    ("a: b: c", "x.yaml:1:5: not valid YAML: mapping values are not allowed here"),
    ("a:\n\t- 1", "x.yaml:2:1: YAML can't be indented with tabs"),
    ("a: *there", "x.yaml:1:4: not valid YAML: found undefined alias 'there'"),
    ("a: 1\n---\nb: 2", "x.yaml:2:1: a config must be a single document"),
    ("a: \x01", "x.yaml:1:4: the character '\\x01' is not allowed"),
    ("[" * 600, "x.yaml: nested too deeply"),
    (
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)),
        "x.yaml: more than 50,000 values, those of its aliases included",
    ),
]


@pytest.mark.parametrize(("text", "expected"), SYNTAX, ids=range(len(SYNTAX)))
def test_load_reports_a_file_that_is_not_a_document(text, expected, errors_of):
    assert errors_of(text).splitlines()[0] == expected


VALUES = [
    ("name: again", "5:1: the key 'name' is given twice, first in line 1"),
    ("x: !!python/name:os.system 1", "5:4: unknown tag tag:yaml.org,2002:python/name:os.system"),
    ("x: !mine {}", "5:4: unknown tag !mine"),
    ("x: !!int y", "5:4: 'y' can't be read as a number"),
    ("x: 1e999", "5:4: '1e999' can't be read as a number"),
    (f"x: {'9' * 5000}", f"5:4: '{'9' * 60}' can't be read as a number"),
    ("x: &x [*x]", "5:4: an alias can't contain itself"),
    ("? [a]\n: 1", "5:3: a key must be text without control characters"),
    ("x: {<<: 3}", "5:9: only a mapping can be merged with <<"),
    ('"a\\e[31m": 1', "5:1: a key must be text without control characters"),
    ('x: "a\\e[31m"', "5:4: text can't contain control characters"),
    ('x: "\\ud800"', "5:4: text can't contain control characters"),
]


@pytest.mark.parametrize(("line", "expected"), VALUES, ids=range(len(VALUES)))
def test_load_reports_a_value_that_can_not_be_read(line, expected, errors_of):
    assert f"x.yaml:{expected}" in errors_of(BASE + line).splitlines()


def test_load_reports_a_file_that_can_not_be_opened(write, tmp_path):
    write(BASE)
    (tmp_path / "latin.yaml").write_bytes(b"name: a\nproblem: caf\xe9\n")
    for path, expected in (
        ("nowhere.yaml", "nowhere.yaml: no such file"),
        (".", ".: this is a folder, not a config file"),
        ("x.yaml/y", "x.yaml/y: can't be read: Not a directory"),
        ("x.toml", "x.toml: a config is a YAML file; TOML is not supported"),
        ("latin.yaml", "latin.yaml:2:13: not UTF-8 text: byte 0xe9"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(path)
        assert str(caught.value).splitlines()[0] == expected


def test_load_reads_yaml_1_2(write):
    config = load(
        write(BASE.replace("trial", "no") + "sweep: {lr: [1e-3, .5, 0o17, 0x1F, +2, 1_0], seed: [12]}\n")
    ).config
    assert config.name == "no"
    assert config.sweep["lr"] == [0.001, 0.5, 15, 31, 2, 10]


def test_load_reads_anchors_and_merges(write):
    text = (
        "name: trial\nproblem: {kind: bowl}\ntrain: {steps: 10}\nrules:\n  a: &a {kind: momentum, lr: 0.5, beta: 0.8}\n"
        "  b: {<<: *a, beta: 0.7}\n  c: {<<: [{lr: 0.1}, *a]}\n  d: *a\n"
    )
    rules = load(write(text)).config.rules
    assert rules["b"].hyperparameters == {"lr": 0.5, "beta": 0.7}
    assert rules["c"].hyperparameters == {"lr": 0.1, "beta": 0.8}
    assert rules["d"] == rules["a"]


def test_load_skips_a_byte_order_mark(tmp_path):
    (tmp_path / "x.yaml").write_text(BASE, encoding="utf-8-sig")
    assert load(tmp_path / "x.yaml").config.name == "trial"


FIVE = """\
name: trial
problem:
  kind: bowl
  condtion: 3
rules:
  gd: {kind: gdd}
sweep:
  lr: []
train:
  steps: -5
figurs: [curves]
"""

FIVE_ERRORS = """\
x.yaml:4:3: problem.condtion: the problem bowl has no hyperparameter condtion
    4 |   condtion: 3
      |   ^^^^^^^^
  did you mean condition?
x.yaml:6:14: rules.gd.kind: there is no rule 'gdd'
    6 |   gd: {kind: gdd}
      |              ^^^
  did you mean gd?
x.yaml:8:7: sweep.lr: an axis needs at least one value
    8 |   lr: []
      |       ^^
x.yaml:10:10: train.steps: must be greater than 0, not -5
   10 |   steps: -5
      |          ^^
x.yaml:11:1: figurs: unknown key
   11 | figurs: [curves]
      | ^^^^^^
  did you mean figures?"""


def test_load_reports_five_errors_at_once_and_in_order(errors_of):
    assert errors_of(FIVE) == FIVE_ERRORS


def test_config_error_has_its_parts(write):
    with pytest.raises(ConfigError) as caught:
        load(write(FIVE))
    mistake = caught.value.mistakes[3]
    assert (mistake.file, mistake.line, mistake.column, mistake.path) == ("x.yaml", 10, 10, "train.steps")
    assert (mistake.message, mistake.mark.text, mistake.hint) == ("must be greater than 0, not -5", "  steps: -5", "")


@pytest.mark.parametrize("misspelt", ["trian: {steps: 5}", "problm: {kind: bowl}", "rule: {gd: {kind: gd}}"])
def test_load_does_not_also_miss_a_misspelt_section(misspelt, errors_of):
    right = {"trian": "train", "problm": "problem", "rule": "rules"}[misspelt.partition(":")[0]]
    lines = [line for line in BASE.splitlines() if not line.startswith(right)]
    text = errors_of("\n".join([*lines, misspelt]))
    assert text.count("x.yaml:") == 1
    assert text.endswith(f"did you mean {right}?")


def test_load_does_not_report_consequences_of_an_error(errors_of):
    # Whether a rule of the right name has a `momentun_decay`, and the sweep an lr, can't be known.
    assert errors_of(BASE.replace("kind: gd", "kind: gdd") + "sweep: {decay: [1]}").count("x.yaml:") == 1
    assert errors_of(BASE + "sweep: {lrr: [1]}\nfigures: [sensitivity]").count("x.yaml:") == 1
    assert (
        errors_of(BASE.replace("kind: bowl", "kind: bowle") + "sweep: {problem.condition: [1]}").count("x.yaml:") == 1
    )
    assert errors_of("code: [nowhere.py]\n" + BASE.replace("kind: gd", "kind: mine")).count("x.yaml:") == 1


def test_config_error_is_bounded_for_long_lines_and_many_errors(errors_of):
    for line in ("x: " + "y" * 10_000_000, "train: {steps: " + "y" * 1_000_000 + "}", "y" * 1_000_000 + ": 1"):
        assert len(errors_of(BASE.replace("train: {steps: 10}\n", "") + line)) < 5000
    lines = errors_of(BASE + f"sweep: {{lr: [{', '.join(['a'] * 300)}]}}").splitlines()
    assert lines[-1] == "and 250 more errors"
    assert sum("must be a number, not 'a'" in line for line in lines) == 50


def test_config_error_shows_a_long_line_around_the_error(errors_of):
    text = errors_of(BASE + f"sweep: {{lr: [{'0.5, ' * 100}fast, {'0.5, ' * 100}1]}}")
    _, line, carets = text.splitlines()
    assert len(line) < 180
    assert line[carets.index("^") :].startswith("fast, 0.5")
    assert carets.count("^") == 4


@pytest.mark.slow
def test_load_refuses_a_list_of_millions_soon(errors_of):
    begin = time.process_time()
    text = errors_of(BASE + "sweep: {lr: [" + "1," * 3_000_000 + "1]}")
    assert text == "x.yaml: more than 50,000 values, those of its aliases included"
    assert time.process_time() - begin < 60


def test_load_refuses_a_file_of_many_megabytes(write, errors_of):
    assert errors_of("#" * 10_000_001) == "x.yaml: a config has at most 10,000,000 bytes, and this file has 10,000,001"
