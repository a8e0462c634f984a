"""`gdlab bench`: output, files and errors."""

import json

import pytest
from click.testing import CliRunner

from gdlab.bench import first_figure, sweep_speed, tasks, update_cost
from gdlab.bench.first_figure import Round
from gdlab.bench.tasks.rosenbrock import rosenbrock
from gdlab.cli import main


@pytest.fixture
def gdlab(tmp_path, monkeypatch):
    """`gdlab("bench", ...)` in an empty folder, with small tasks, without PyTorch, on a machine of 100 GFLOP/s."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweep_speed, "torch_installed", lambda: False)
    monkeypatch.setattr(sweep_speed, "matmul_peak", lambda: 100.0)
    small = rosenbrock(rates=2, betas=2, steps=2)
    for name in ("rosenbrock", "mlp"):  # both names have the same task, which is compiled once
        monkeypatch.setitem(tasks.TASKS, name, lambda name=name: small._replace(name=name, flops=1e6))
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


def test_bench_sweep_prints_a_table_per_task(gdlab, tmp_path):
    result = gdlab("bench", "--work", "rosenbrock", "--work", "mlp", "--repeats", 2, "--json", "times.json")
    assert result.exit_code == 0, result.output
    first, *lines = result.stdout.splitlines()
    assert first.startswith("`gdlab bench sweep`, ")
    titles = [line for line in lines if " runs of " in line]
    assert [title.partition(":")[0] for title in titles] == ["rosenbrock", "mlp"]
    assert sum(line.startswith("engine ") for line in lines) == 2
    assert sum(line.startswith("loop of jitted scans ") for line in lines) == 2
    assert any("GFLOP/s" in line for line in lines)
    assert "mlp: round 2 of 2" in result.stderr
    document = json.loads((tmp_path / "times.json").read_text())
    assert [work["work"] for work in document["measured"]] == ["rosenbrock", "mlp"]
    assert {len(one["seconds"]) for work in document["measured"] for one in work["contestants"]} == {2}


@pytest.mark.smoke
def test_bench_prints_a_markdown_page(gdlab):
    result = gdlab("bench", "sweep", "--work", "rosenbrock", "--repeats", 1, "--markdown")
    assert result.exit_code == 0, result.output
    assert "| contestant | runs |" in result.stdout
    assert "\n| engine | 4 |" in result.stdout


def test_bench_rules_prints_and_writes_json(gdlab, monkeypatch, tmp_path):
    cost = update_cost.RuleCost("gd", 0.5e-3, "", float("nan"), float("nan"))
    monkeypatch.setattr(update_cost, "update_costs", lambda repeats: iter([cost] * repeats))
    result = gdlab("bench", "rules", "--repeats", 2, "--json", "costs.json")
    assert result.exit_code == 0, result.output
    assert [line.split() for line in result.stdout.splitlines()[1:]] == [["gd", "0.500"]] * 2
    assert json.loads((tmp_path / "costs.json").read_text())["measured"][1]["ratio"] is None


def test_bench_first_figure_takes_a_config(gdlab, monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr(first_figure, "_round", lambda config, folder: made.append(config) or Round(1.0, 9.0, 3.0))
    (tmp_path / "a.yaml").touch()
    result = gdlab("bench", "first-figure", "--config", "a.yaml", "--repeats", 2, "--json", "times.json")
    assert result.exit_code == 0, result.output
    assert made == [tmp_path / "a.yaml"] * 2
    assert "last figure of a.yaml" in result.stdout
    assert json.loads((tmp_path / "times.json").read_text())["measured"][0]["ratios"]["warm"] == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--work", "mpl"],
            "--work: there is no task 'mpl'; there are mlp, tanh, rosenbrock, cnn, gru, transformer, wide",
        ),
        (["rules", "--work", "mlp"], "--work applies to gdlab bench sweep only, not to gdlab bench rules"),
        (["--figure", "a.png"], "--figure applies to gdlab bench scaling only"),
        (["scaling", "--figure", "a.gif"], "--figure a.gif: the name must end in one of .png"),
        (["scaling", "--figure", "none/a.png"], "none/a.png: there is no folder none"),
        (["--json", "none/a.json"], "none/a.json: there is no folder none"),
        (["rules", "--markdown"], "--markdown does not apply to gdlab bench rules"),
        (["--config", "a.yaml"], "--config applies to gdlab bench first-figure only, not to gdlab bench sweep"),
        (["first-figure"], "configs/quickstart.yaml: there is no such file; name a config with --config"),
        (["first-figure", "--config", "a.yaml"], "a.yaml: there is no such file"),
        (["nothing"], "'nothing' is not one of"),
        (["--repeats", "0"], "--repeats"),
    ],
)
def test_bench_refuses_invalid_options(gdlab, tmp_path, words, message):
    result = gdlab("bench", *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_bench_help_names_every_task(gdlab):
    said = " ".join(gdlab("bench", "--help").stdout.split())
    assert ", ".join(tasks.TASKS) in said
