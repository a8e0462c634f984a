"""Directions that are scaled by filter are refused before any run on problems without a matrix."""

import pytest

import gdlab.figures  # noqa: F401
from gdlab.config import ConfigError, load
from gdlab.experiment.run import prepare

TEXT = """\
name: plane
problem: {kind: PROBLEM}
rules: {gd: {kind: gd}}
sweep: {lr: [0.001]}
train: {steps: 2}
landscape: {LANDSCAPE}
figures: [FIGURE]
"""


@pytest.mark.parametrize(
    ("problem", "landscape", "figure", "refused"),
    [
        ("rosenbrock", "plane: random", "landscape", "filter"),
        ("quadratic", "", "line_profile", "filter"),
        ("linear_regression", "plane: random, normalise: layer", "landscape", "layer"),
        ("rosenbrock", "plane: random, normalise: none", "landscape", None),
        ("rosenbrock", "", "landscape", None),
        ("mlp", "plane: random", "line_profile", None),
    ],
)
def test_prepare_refuses_scaled_directions_without_a_matrix(tmp_path, problem, landscape, figure, refused):
    path = tmp_path / "c.yaml"
    path.write_text(TEXT.replace("PROBLEM", problem).replace("LANDSCAPE", landscape).replace("FIGURE", figure))
    resolved = load(path)
    if refused is None:
        assert len(prepare(resolved).groups) == 1
        return
    with pytest.raises(ConfigError) as caught:
        prepare(resolved)
    first, *_, hint = str(caught.value).splitlines()
    assert first.startswith(f"{path}:6:")
    assert f"landscape.normalise: {refused} scales parameters with two axes or more" in first
    assert hint.strip() == "use landscape.normalise: none"
