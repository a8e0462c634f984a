"""`landscape.plane: exact` is refused before any run where no point of the space has two parameters."""

import pytest

import gdlab.figures  # noqa: F401
from gdlab.config import ConfigError, load
from gdlab.experiment.run import prepare

TEXT = """\
name: plane
problem: {kind: PROBLEM}
rules: {gd: {kind: gd}}
sweep: {AXIS, lr: [0.001]}
train: {steps: 2}
landscape: {plane: exact}
figures: [landscape]
"""


@pytest.mark.parametrize(
    ("problem", "axis", "refused"),
    [
        ("rosenbrock", "problem.b: [10, 100]", False),
        ("quadratic", "problem.shift: {linear: [0, 1, 1000]}", True),
        ("quadratic", "problem.spectrum: [[1, 2, 3], [1]]", True),
        ("quadratic", "problem.spectrum: [[1, 2, 3], [1, 2]]", False),  # the best run may be of two parameters
    ],
)
def test_prepare_refuses_an_exact_plane_that_no_point_has(tmp_path, problem, axis, refused):
    path = tmp_path / "c.yaml"
    path.write_text(TEXT.replace("PROBLEM", problem).replace("AXIS", axis))
    resolved = load(path)
    if not refused:
        assert prepare(resolved).space.size > 0
        return
    with pytest.raises(ConfigError) as caught:
        prepare(resolved)
    first, *_, hint = str(caught.value).splitlines()
    assert first == f"{path}:6:20: landscape.plane: exact needs a problem of two parameters"
    assert hint.strip() == "use pca or random"
