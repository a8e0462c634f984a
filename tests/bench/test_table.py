"""Tables of artificial measurements."""

import json
import math
from datetime import date

import numpy as np
import pytest

from gdlab.bench import sweep_speed as module
from gdlab.bench.comparison import Timing
from gdlab.bench.machine import Machine, described, machine
from gdlab.bench.sweep_speed import Comparison, record_of, table_of
from gdlab.bench.table import Table, as_json, as_markdown, figures, occasion
from gdlab.bench.tasks.mlp import mlp
from gdlab.bench.tasks.tanh import tanh
from gdlab.cli.printing import print_measurements

THERE = Machine("A Processor", 2, ["cpu", "cpu"], {"python": "3.11.0", "jax": "0.10.0"})
STANDINGS = (
    Timing("engine", 100, 1.0, (1.0, 2.0, 3.0), 9.0, 0.0, kernels_per_step=1234),
    Timing("loop", 64, 0.64, (4.0, 6.0, 8.0), 5.0, 2e-7),
    Timing("external", 0, 1.0, (), np.nan, np.nan, "RuntimeError: no | compiler"),
)


@pytest.fixture(autouse=True)
def without_torch(monkeypatch):
    monkeypatch.setattr(module, "torch_installed", lambda: False)


def _row(table, name):
    (row,) = (row for row in table.rows if row[0] == name)
    return dict(zip(table.header, row, strict=True))


def test_table_of_has_a_row_per_contestant():
    task = mlp(rates=100, steps=10)._replace(flops=2e8)
    table = table_of(Comparison(task, STANDINGS, peak=100.0), repeats=3)
    assert table.title == "mlp: 64-32-10 ReLU network, batch 128 of 1,797, gd; 100 runs of 10 steps"
    assert _row(table, "engine") == {
        "contestant": "engine",
        "runs": "100",
        "seconds": "2.00",
        "first call, s": "9.00",
        "first / engine's": "1.00",
        "updates/s": "500",  # 100 runs of 10 steps in 2 s
        "GFLOP/s": "10.0",  # 2e8 operations for each of 100 runs in 2 s
        "of peak": "10.0 %",
        "kernels / step": "1,234",
        "time / engine's": "1.00",
        "apart": "0e+00",
    }
    loop = _row(table, "loop")
    assert loop["runs"] == "64 of 100, scaled"
    assert loop["time / engine's"] == "3.00"  # the median of 4/1, 6/2 and 8/3
    assert (loop["GFLOP/s"], loop["apart"]) == ("3.33", "2e-07")
    assert (loop["first / engine's"], loop["kernels / step"]) == ("0.56", "-")  # a first call of 5 s against 9 s
    assert _row(table, "external")["seconds"] == "RuntimeError: no | compiler"
    assert "Medians of 3." in table.notes[0]
    assert "100 GFLOP/s" in table.notes[0]
    assert "pip install gdlab[bench]" in table.notes[1]


def test_table_of_omits_columns_without_flops():
    table = table_of(Comparison(tanh(rates=100, steps=10), STANDINGS, peak=100.0), repeats=3)
    assert table.header == (
        *("contestant", "runs", "seconds", "first call, s", "first / engine's"),
        *("updates/s", "kernels / step", "time / engine's", "apart"),
    )
    assert {len(row) for row in table.rows} == {len(table.header)}
    assert "GFLOP/s" not in table.notes[0]


def test_as_markdown():
    table = Table("a title", ("name", "seconds"), [("a|b", "1.00"), ("c", "-")], ("a note",))
    assert as_markdown(table) == (
        "**a title**\n\n| name | seconds |\n| --- | ---: |\n| a\\|b | 1.00 |\n| c | - |\n\na note\n"
    )


def test_table_in_a_terminal(capsys):
    print_measurements(Table("a title", ("name", "seconds"), [("[b]", "1.00"), ("c", "12.0")], ("a note",)))
    lines = capsys.readouterr().out.splitlines()
    assert [line.rstrip() for line in lines] == [
        "a title",
        "name  seconds",
        "[b]      1.00",
        "c        12.0",
        "a note",
        "",
    ]


def test_as_json_is_plain_data_with_null_for_missing():
    record = record_of(Comparison(tanh(rates=100, steps=10), STANDINGS, peak=100.0))
    text = as_json("sweep", THERE, date(2026, 3, 4), [record])
    document = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert document["date"] == "2026-03-04"
    assert document["machine"]["devices"] == ["cpu", "cpu"]
    engine, loop, external = document["measured"][0]["contestants"]
    assert (engine["seconds"], engine["gflops"]) == ([1.0, 2.0, 3.0], None)
    assert (loop["median_seconds"], loop["ratio"], loop["share"]) == (6.0, 3.0, 0.64)
    assert (loop["first_ratio"], engine["kernels_per_step"], loop["kernels_per_step"]) == (5 / 9, 1234, None)
    assert (external["ratio"], external["first_ratio"], external["failure"]) == (
        None,
        None,
        "RuntimeError: no | compiler",
    )


def test_occasion_names_command_day_and_machine():
    said = "`gdlab bench sweep`, 4 March 2026: A Processor, 2 cores, 2 x cpu, python 3.11.0, jax 0.10.0."
    assert occasion("sweep", THERE, date(2026, 3, 4)) == said


def test_machine_has_processor_devices_and_versions():
    here = machine()
    assert here.processor
    assert here.cores >= 1
    assert here.devices
    assert {"python", "gdlab", "jax", "jaxlib"} <= set(here.versions)
    assert f"jax {here.versions['jax']}" in described(here)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (1.2345, "1.23"),
        (12.345, "12.3"),
        (123.45, "123"),
        (0.012345, "0.0123"),
        (0.0099999, "0.0100"),
        (9.996, "10.0"),
        (999.4, "999"),
        (999.6, "1.00 k"),
        (3.3e9, "3.30 G"),
        (1.5e6, "1.50 M"),
        (12345, "12.3 k"),
        (1e-9, "1.0e-09"),
        (-2.5, "-2.50"),
        (math.nan, "-"),
        (math.inf, "-"),
    ],
)
def test_figures_has_three_significant_digits(value, words):
    assert figures(value) == words
