"""Integer axes stay integers in the runs that a landscape shows."""

import gdlab
from gdlab import config as configs
from gdlab.experiment.run_selection import all_runs, best_runs, one_run

CONFIG = """\
name: widths
problem: {kind: quadratic}
rules:
  lbfgs: {kind: lbfgs}
sweep:
  chain:
    - {lr: [0.1, 0.2]}
    - {lr: [0.1], history: [3, 5]}
train: {steps: 4}
"""


def test_selections_keep_integers_of_an_axis_that_is_absent_at_some_points(tmp_path):
    """Regression: beside absent points, which are NaN, the integers were floats, and L-BFGS could not be built."""
    (tmp_path / "c.yaml").write_text(CONFIG)
    config = configs.load(tmp_path / "c.yaml")
    data = gdlab.sweep(config.problem, config.rules, config.over, steps=4, every=None)
    assert data["history"].dtype == float
    shown = [values for _, values in all_runs(config, data).shown]
    assert sorted(values["history"] for values in shown if "history" in values) == [3, 5]
    picked = one_run(config, data, {"history": 5.0}).shown + best_runs(config, data).shown
    for _, values in [*picked, *all_runs(config, data).shown]:
        assert type(values.get("history", 3)) is int
