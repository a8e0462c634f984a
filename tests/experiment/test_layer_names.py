"""Figures show the names of the layers, and draw a line also for a probe with a long interval."""

import numpy as np

from gdlab.experiment.figures import draw
from gdlab.experiment.results import open_results

TEXT = """
name: layers
problem: {kind: mlp, data: wine, widths: [4]}
rules: {gd: {kind: gd}}
sweep: {lr: [0.1]}
train: {steps: 24}
record: {every: 2, probes: [layer_grad_norms, {kind: sharpness, every: 8}]}
"""


def test_layers_have_names_and_probes_with_long_intervals_have_lines(gdlab, tmp_path):
    (tmp_path / "c.yaml").write_text(TEXT)
    assert gdlab("run", "c.yaml", "--quiet").exit_code == 0
    folder = tmp_path / "results" / "layers" / "latest"
    data = open_results(folder)
    assert data["layer_grad_norms"].attrs["layers"] == ["layers/0", "layers/1"]
    figure = gdlab("plot", "results/layers", "gradient_flow", "--format", "svg")
    assert figure.exit_code == 0, figure.output
    (svg,) = draw(folder, "loss_curves", {"series": "sharpness"}, tmp_path / "figures" / "sharpness", ["svg"])
    (line,) = (part for part in svg.read_text().split("<g id=") if part.startswith('"median"'))
    assert line.split('d="')[1].split('"')[0].count("L") == 2  # three numbers
    assert np.isfinite(data["sharpness"].values).sum() == 3
