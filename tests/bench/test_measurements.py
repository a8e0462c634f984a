"""Scaling and compaction at sizes too small to measure."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex

from gdlab.bench.compaction import compaction
from gdlab.bench.scaling import Size, measured, scaling
from gdlab.bench.scaling_figure import draw, figure_format, scaling_figure
from gdlab.errors import UserError
from gdlab.figures.style import COLOURS

SIZES = [Size(1000, 0.1, 2**28), Size(100_000, 1.0, 2**30)]


def test_compaction_half_of_the_runs_diverge_and_results_are_equal():
    part = compaction(repeats=2, rates=6, steps=20)
    ended = np.array(part.record["diverged_at"])
    np.testing.assert_array_equal(ended[:3], -1)
    assert (ended[3:] >= 0).all()
    assert (ended[3:] <= 2).all()
    assert f"3 of 6 runs diverged by step {ended.max()} of 20." in part.table.notes[0]
    assert [row[0] for row in part.table.rows] == ["engine", "diverged runs kept", "without those that diverge"]
    engine, kept, alone = part.record["contestants"]
    assert kept["apart"] < 1e-5
    assert alone["apart"] < 1e-5
    assert (engine["runs"], alone["runs"], alone["share"]) == (6, 3, 1.0)
    assert len(kept["seconds"]) == 2


def test_scaling_measures_increasing_sizes():
    said = []
    sizes = scaling(1, said.append, counts=(60, 25), steps=3)
    assert [size.runs for size in sizes] == [25, 60]
    assert said == ["25 runs", "60 runs"]
    assert all(size.seconds > 0 for size in sizes)
    assert 2**20 < sizes[0].peak_bytes <= sizes[1].peak_bytes


def test_scaling_table():
    part = measured(SIZES, repeats=5, steps=200)
    assert part.table.rows[0] == ("1,000", "0.100", "100", "2.00 M", "256")
    assert part.table.rows[1] == ("100,000", "1.00", "10.0", "20.0 M", "1,024")
    assert part.record["sizes"][1] == {"runs": 100_000, "seconds": 1.0, "peak_bytes": 2**30}


def test_scaling_figure(tmp_path):
    figure = scaling_figure(SIZES, "a machine")
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_yscale(), axes.get_ylim()[0]) == ("log", "linear", 0)
    assert "runs" in axes.get_xlabel()
    assert "µs" in axes.get_ylabel()
    (line,) = axes.lines
    np.testing.assert_allclose(line.get_xydata(), [[1e3, 100], [1e5, 10]])
    assert to_hex(line.get_color(), keep_alpha=False) == COLOURS[0].lower()
    assert "a machine" in figure.get_supxlabel()
    path = tmp_path / "a.b.svg"
    assert draw(SIZES, "a machine", path) == path
    assert path.read_bytes().startswith(b"<?xml")


def test_scaling_figure_refuses_an_unknown_format():
    with pytest.raises(UserError, match=r"must end in one of \.png, \.pdf, \.svg"):
        figure_format(Path("a.gif"))
