"""Time to the first figure, with processes that do nothing and with real ones."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from gdlab.bench import first_figure as module
from gdlab.bench.first_figure import Round, first_figure, measured, process
from gdlab.errors import UserError
from tests.command_line import GOOD


def test_table_has_medians_and_paired_ratios():
    part = measured("a.yaml", [Round(1.0, 8.0, 2.0), Round(2.0, 10.0, 6.0), Round(4.0, 40.0, 12.0)])
    assert part.table.title.endswith("the last figure of a.yaml")
    assert part.table.rows == [
        ("import jax, make an array", "2.00", "1.00"),
        ("gdlab run, cold cache", "10.0", "8.00"),  # the median of 8/1, 10/2 and 40/4
        ("gdlab run, warm cache", "6.00", "3.00"),
    ]
    assert part.record["seconds"]["cold"] == [8.0, 10.0, 40.0]
    assert part.record["ratios"] == {"base": 1.0, "cold": 8.0, "warm": 3.0}


def test_time_ends_with_the_newest_figure(monkeypatch):
    calls, now = [], [1000.0]

    def drawing(words, cache):
        calls.append((words, cache))
        now[0] += 2
        if "run" in words:
            figures = Path(words[words.index("--out") + 1]) / "name" / "date" / "figures"
            figures.mkdir(parents=True)
            for name, at in (("last.png", now[0] + 68), ("first.png", now[0] + 28)):
                (figures / name).touch()
                os.utime(figures / name, (at, at))

    monkeypatch.setattr(module, "process", drawing)
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: now[0]))
    part = first_figure(Path("a.yaml"), 2)
    assert part.record["seconds"] == {"base": [2.0] * 2, "cold": [70.0] * 2, "warm": [70.0] * 2}
    base, cold, warm, *again = calls
    assert base[0][2] == "import jax; jax.numpy.zeros(3)"
    assert cold[0][4] == str(Path("a.yaml").resolve())
    assert cold[1] == warm[1]  # one cache
    assert cold[0][6] != warm[0][6]  # but no results to reuse
    assert again[1][1] != cold[1]  # each round starts with an empty cache


def test_a_config_without_figures_is_refused(monkeypatch):
    monkeypatch.setattr(module, "process", lambda words, cache: None)
    with pytest.raises(UserError, match="draws no figure"):
        first_figure(Path("a.yaml"), 1)


def test_a_failed_process_is_reported(tmp_path):
    with pytest.raises(UserError, match=r"(?s)failed with exit code 3:\nno room$"):
        process(("sh", "-c", "echo no room >&2; exit 3"), tmp_path)


@pytest.mark.slow
def test_first_figure_of_a_small_config(tmp_path):
    (tmp_path / "c.yaml").write_text(GOOD)
    (base,), (cold,), (warm,) = first_figure(tmp_path / "c.yaml", 1).record["seconds"].values()
    assert 0 < base < cold
    assert base < warm
    assert [path.name for path in tmp_path.iterdir()] == ["c.yaml"]
