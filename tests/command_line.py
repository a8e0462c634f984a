"""Fixtures that call the command line in an empty folder."""

import pytest
from click.testing import CliRunner, Result

from gdlab.cli import main

GOOD = """\
name: small
problem: {kind: rosenbrock}
rules:
  gd: {kind: gd}
  heavy: {kind: momentum, beta: 0.8}
sweep:
  lr: {log: [1e-4, 1e-1, 4]}
  seed: 2
train: {steps: 12}
record: {every: 4, probes: [grad_norm]}
landscape: {points: 9}
figures: [lr_sensitivity, loss_curves, landscape]
"""


@pytest.fixture
def gdlab(tmp_path, monkeypatch):
    """A function `gdlab("run", "c.yaml", ...)` that runs a command in an empty folder and returns click's Result."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> Result:
        return CliRunner().invoke(main, [str(word) for word in words])

    return call


@pytest.fixture
def write(tmp_path):
    """A function that writes c.yaml, a valid config in which one text is replaced by another."""

    def to(old: str = "", new: str = "", text: str = GOOD) -> None:
        assert old in text
        (tmp_path / "c.yaml").write_text(text.replace(old, new, 1))

    return to


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The results folder of the valid config."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "c.yaml").write_text(GOOD)
    result = CliRunner().invoke(main, ["run", str(folder / "c.yaml"), "--out", str(folder / "out"), "--quiet"])
    assert result.exit_code == 0, result.output
    (results,) = (path for path in (folder / "out" / "small").iterdir() if not path.is_symlink())
    return results
