"""The commands do what their help says."""

import json
import subprocess
import sys

import pytest
from matplotlib.text import Text

from gdlab import register
from gdlab.cli.printing import print_best
from gdlab.experiment import figures as drawing
from gdlab.experiment.results import open_results
from gdlab.figures import save
from gdlab.rules.from_optax import names


def test_help_imports_nothing_heavy():
    heavy = "{'jax', 'numpy', 'xarray', 'matplotlib', 'pydantic', 'rich', 'zarr', 'optax', 'flax', 'sklearn'}"
    code = (
        "import sys; from gdlab.cli import main; main(['--help'], standalone_mode=False); "
        f"found = {heavy} & set(sys.modules); assert not found, found"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in ("run", "validate", "schema", "list", "show", "best", "plot", "doctor"):
        assert f"\n  {command} " in done.stdout


def test_validate_imports_nothing_it_does_not_need():
    heavy = "{'xarray', 'matplotlib', 'zarr', 'flax', 'sklearn', 'scipy'}"
    code = (
        "import sys; from gdlab.cli import main; main(['validate', 'configs/quickstart.yaml'], standalone_mode=False); "
        f"found = {heavy} & set(sys.modules); assert not found, found"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said = "quickstart: 5 rule x 25 lr x 4 seed = 500 runs of 300 steps\n"
    assert done.stdout == f"configs/quickstart.yaml is fine: {said}"


def test_run_prints_a_summary_and_the_folder(gdlab, write, tmp_path):
    write()
    result = gdlab("run", "c.yaml", "train.steps=3", "rules.heavy.beta=0.5", "--format", "svg")
    assert result.exit_code == 0, result.output
    (folder,) = (path for path in (tmp_path / "results" / "small").iterdir() if not path.is_symlink())
    assert folder.name in result.stdout
    assert "2 rule x 4 lr x 2 seed = 16 runs" in result.stdout
    assert sorted(path.name for path in (folder / "figures").iterdir()) == [
        "landscape.svg",
        "loss_curves.svg",
        "lr_sensitivity.svg",
    ]
    text = (folder / "config.yaml").read_text()
    assert "steps: 3\n" in text
    assert "beta: 0.5}" in text


def test_show_finds_the_latest_by_name(gdlab, finished):
    result = gdlab("show", finished.parent)
    assert result.exit_code == 0
    assert "2 rule x 4 lr x 2 seed = 16 runs" in result.stdout
    assert "runs.csv" in result.stdout


def test_best_is_a_row_for_each_rule(gdlab, finished):
    result = gdlab("best", finished, "--metric", "best_loss")
    assert result.exit_code == 0
    head, *rows = result.stdout.splitlines()
    assert "median best_loss" in head
    assert [row.split()[0] for row in rows[:2]] == ["gd", "heavy"]


def test_plot_draws_into_the_folder(gdlab, finished):
    result = gdlab("plot", finished, "lr_sensitivity", "metric=best_loss", "width=single", "--format", "png")
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(finished / "figures" / "lr_sensitivity.png")


CHECK = """\
from gdlab import register
from gdlab.analysis.claims import Claim, at_most

@register.check("lr_sensitivity")
def check(data):
    return [Claim("it is small", "It is small.", "Nobody (2026)", at_most(1), [0.5], how="so", tolerance="so")]
"""


def test_notes_false_removes_title_caption_and_verdicts(gdlab, write, tmp_path, monkeypatch, request):
    drawn = []

    def saved(figure, stem, formats):
        drawn.append(" ".join(text.get_text() for text in figure.findobj(Text)))
        return save(figure, stem, formats)

    monkeypatch.setattr(drawing, "save", saved)
    request.addfinalizer(lambda: register.checks.pop("lr_sensitivity", None))
    (tmp_path / "mine.py").write_text(CHECK)
    figures = "figures: [lr_sensitivity, {kind: lr_sensitivity, notes: false}]"
    write("figures: [lr_sensitivity, loss_curves, landscape]", f"{figures}\nchecks: [lr_sensitivity]\ncode: [mine.py]")
    result = gdlab("run", "c.yaml", "--format", "png", "landscape=null")
    assert result.exit_code == 0, result.output
    result = gdlab("plot", "results/small", "lr_sensitivity", "notes=false", "--format", "png")
    assert result.exit_code == 0, result.output
    with_notes, configured, plotted = drawn
    assert all(text in with_notes for text in ("small · rosenbrock", "16 runs", "it is small", "learning rate"))
    assert not any(text in configured for text in ("small ·", "16 runs", "it is small"))
    assert "learning rate" in configured
    assert plotted == configured
    assert "notes=True" in gdlab("list", "figures", "lr_sensitivity").stdout


@pytest.mark.parametrize("what", ["rules", "problems", "probes", "figures", "schedules", "checks"])
def test_list_names_all_that_is_registered(gdlab, what):
    shelf = {
        kind: entry for kind, entry in getattr(register, what).items() if entry.make.__module__.startswith("gdlab")
    }
    result = gdlab("list", what)
    assert result.exit_code == 0
    first = {line.split()[0] for line in result.stdout.splitlines()[1:] if line.strip() and not line.startswith(" ")}
    assert set(shelf) <= first
    if what == "rules":
        assert {f"optax:{name}" for name in names()} <= first
        assert len(shelf) >= 40
    for kind, entry in shelf.items():
        described = gdlab("list", what, kind)
        assert entry.summary in described.stdout


def test_schema_is_json_schema(gdlab):
    content = json.loads(gdlab("schema").stdout)
    assert {"name", "problem", "rules", "sweep", "train"} <= set(content["properties"])


def test_doctor_passes_all_checks(gdlab):
    result = gdlab("doctor")
    assert result.exit_code == 0
    assert result.stdout.endswith("all checks passed\n")


def test_doctor_reports_a_failing_check(gdlab, monkeypatch):
    monkeypatch.setattr("zarr.create_array", None)
    result = gdlab("doctor")
    assert result.exit_code == 1
    assert "store          FAILS: TypeError" in result.stdout


def test_list_describes_one_experiment(gdlab, tmp_path):
    """Regression: NAME was ignored."""
    (tmp_path / "configs").mkdir()
    for name in ("first", "second"):
        text = f"# The {name} experiment.\nchecks: [{{kind: its_check}}]\nsizes: {{full: {{}}}}\n"
        (tmp_path / "configs" / f"{name}.yaml").write_text(text)
    result = gdlab("list", "experiments", "second")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "second", "", "The second experiment.", "",
        "config: configs/second.yaml", "sizes: small, full", "checks: its_check",
    ]  # fmt: skip
    result = gdlab("list", "experiments", "secnd")
    assert (result.exit_code, result.stderr) == (2, "there is no experiment 'secnd': did you mean second?\n")
    assert gdlab("list", "configs", "second").exit_code == 2


def test_tables_escape_control_characters(finished, tmp_path, capsys):
    data = open_results(finished)
    data = data.assign_coords(rule=["\x1b]0;title\x07gd", "heavy"])
    print_best(data, "final_loss")
    out = capsys.readouterr().out
    assert r"\x1b]0;title\x07gd" in out
    assert "\x1b]" not in out
