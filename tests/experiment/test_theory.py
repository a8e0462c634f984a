"""Stability limits of a config's rules against closed forms."""

import pytest

import gdlab.figures  # noqa: F401
from gdlab.config import load
from gdlab.experiment.theory import layer_names, stability_of_sharpness, stable_lr

TEXT = """\
name: theory
problem: {kind: quadratic, spectrum: [1, 2, 5]}
rules:
  gd: {kind: gd}
  heavy: {kind: momentum, beta: 0.5}
  swept: {kind: momentum}
  adam: {kind: adam}
sweep: {lr: [0.1], SWEEP}
train: {steps: 2}
"""


def loaded(tmp_path, sweep="seed: 1", old="", new=""):
    path = tmp_path / "c.yaml"
    path.write_text(TEXT.replace("SWEEP", sweep).replace(old, new, 1))
    return load(path)


def test_stable_lr_is_the_closed_form_on_a_quadratic(tmp_path):
    """Gradient descent is stable below 2 / L, heavy ball below 2 (1 + beta) / L; L = 5."""
    limits = stable_lr(loaded(tmp_path, "rules.swept.beta: [0.1, 0.9]"))
    assert {label: limit["c"] for label, limit in limits.items()} == {"gd": 2.0, "heavy": 3.0}
    assert limits["heavy"]["lr"] == pytest.approx(3.0 / 5)
    assert limits["gd"]["lr"] == pytest.approx(2.0 / 5)


def test_stable_lr_is_empty_where_the_problem_is_swept(tmp_path):
    assert stable_lr(loaded(tmp_path, "problem.shift: [0.0, 1.0]")) == {}


def test_stability_of_sharpness_leaves_out_swept_rules(tmp_path):
    found = stability_of_sharpness(loaded(tmp_path, "rules.swept.beta: [0.1, 0.9]"))
    assert found["sharpness"]["gd"] == pytest.approx(2.0)
    assert found["sharpness"]["heavy"] == pytest.approx(3.0)
    assert "swept" not in found["sharpness"]
    assert "adam" not in found["sharpness"]
    assert "adam" in found["preconditioned_sharpness"]


def test_layer_names_are_empty_without_probes_of_layers(tmp_path):
    assert layer_names(loaded(tmp_path)) == {}
