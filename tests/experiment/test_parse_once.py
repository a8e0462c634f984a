"""A command parses its config once."""

import importlib

import pytest

from gdlab.config import yaml_source
from gdlab.experiment.results import find_folder

SMALL = """\
name: once
problem: {kind: rosenbrock}
rules:
  gd: {kind: gd}
  scheduled: {kind: momentum, lr: {kind: cosine, steps: 4}}
sweep: {lr: [1e-4, 1e-3], lr.peak: [1e-4]}
train: {steps: 4}
record: {every: 2, probes: [grad_norm]}
landscape: {points: 5}
figures: [loss_curves, landscape]
"""


@pytest.fixture
def counts(monkeypatch):
    """The number of calls of the YAML parser and of the reader of kinds and axes."""
    loading, found = importlib.import_module("gdlab.config.load"), {"parse": 0, "read_choices": 0}

    def counting(module, name):
        function = getattr(module, name)

        def counted(*args, **kwargs):
            found[name] += 1
            return function(*args, **kwargs)

        monkeypatch.setattr(module, name, counted)

    counting(yaml_source, "parse")
    counting(loading, "read_choices")
    return found


def test_run_with_a_landscape_and_the_commands_on_its_folder_parse_the_config_once(gdlab, counts, tmp_path):
    (tmp_path / "c.yaml").write_text(SMALL)
    result = gdlab("run", "c.yaml", "--format", "png", "--quiet")
    assert result.exit_code == 0, result.output
    assert counts == {"parse": 1, "read_choices": 1}
    folder = find_folder(tmp_path / "results" / "once")
    for words, overrides in (
        (["resume", folder, "--quiet"], 0),
        (["plot", folder, "loss_curves"], 1),
        (["landscape", folder, "--quiet"], 1),
        (["best", folder], -1),
    ):
        counts.update(parse=0, read_choices=0)
        result = gdlab(*words, *([] if words[0] == "best" else ["--format", "png"]))
        assert result.exit_code == 0, result.output
        # The value of an override, such as the figure to plot, is YAML too.
        assert counts == {"parse": 1 + overrides, "read_choices": int(overrides >= 0)}, words
