"""Errors of the user: one message, the exit code, no traceback, and no partial results."""

import pytest

from gdlab.experiment import run as experiment

DATA = "problem: {kind: logistic_regression, data: wine}"


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("kind: gd}", "kind: gdd}", "4:14", "rules.gd.kind: there is no rule 'gdd'"),
        ("rosenbrock", "rosenbrok", "2:17", "did you mean rosenbrock?"),
        ("[lr_sensitivity", "[lr_sensitivty", "12:11", "there is no figure 'lr_sensitivty'"),
        ("[grad_norm]", "[gradnorm]", "10:29", "did you mean grad_norm?"),
        ("steps: 12", "steps: twelve", "9:16", "train.steps: must be a whole number, not 'twelve'"),
        ("steps: 12", "steps: -12", "9:16", "train.steps: must be greater than 0, not -12"),
        ("lr: {log: [1e-4, 1e-1, 4]}", "lr: []", "7:7", "sweep.lr: an axis needs at least one value"),
        ("  lr: {log", "  bta: {log", "7:3", "no rule has a hyperparameter bta"),
        ("steps: 12", "steps: 12, step: 3", "9:20", "train.step: unknown key"),
        ("  lr: {log: [1e-4, 1e-1, 4]}\n", "", "11:11", "the figure lr_sensitivity needs the dim lr"),
        ("landscape: {points: 9}\n", "", "11:40", "the figure landscape needs the section landscape"),
        ("every: 4", "every: null", "12:27", "the figure loss_curves needs a series"),
        ("beta: 0.8", "beta: high", "5:33", "rules.heavy.beta: must be a number"),
    ],
)
def test_an_error_in_the_config_has_its_position(gdlab, write, tmp_path, old, new, place, said):
    write(old, new)
    for command in ("validate", "run"):
        result = gdlab(command, "c.yaml")
        assert result.exit_code == 2
        assert said in result.stderr
        assert f"c.yaml:{place}: " in result.stderr
        assert "Traceback" not in result.output
        assert result.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["c.yaml"]


def test_a_batch_larger_than_the_data(gdlab, write, tmp_path):
    write("problem: {kind: rosenbrock}", DATA)
    result = gdlab("run", "c.yaml", "train.batch_size=144")
    assert result.exit_code == 2
    assert "train.batch_size: 144 is larger than the data: logistic_regression has 143" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["c.yaml"]


def test_all_errors_in_a_config_are_reported_at_once(gdlab, write):
    write("kind: gd}", "kind: gdd}")
    result = gdlab("run", "c.yaml", "train.steps=-1", "record.evry=3")
    assert result.exit_code == 2
    for said in ("there is no rule 'gdd'", "must be greater than 0", "did you mean every?"):
        assert said in result.stderr


@pytest.mark.parametrize("words", [["run", "none.yaml"], ["validate", "none.yaml"]])
def test_a_missing_config(gdlab, words):
    result = gdlab(*words)
    assert (result.exit_code, result.stderr.strip()) == (2, "none.yaml: no such file")


@pytest.mark.parametrize("words", [["show", "none"], ["best", "none"], ["plot", "none", "lr_sensitivity"]])
def test_a_missing_results_folder(gdlab, words):
    result = gdlab(*words)
    assert (result.exit_code, result.stderr.strip()) == (2, "there is no folder none")


def test_a_folder_without_results(gdlab, tmp_path):
    (tmp_path / "empty").mkdir()
    result = gdlab("show", "empty")
    assert (result.exit_code, result.stderr.strip()) == (2, "empty holds no results: there is no store.zarr in it")


def test_a_dangling_latest_is_named(gdlab, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "latest").symlink_to("20260101-000000-removed")
    result = gdlab("show", "results")
    assert result.exit_code == 2
    assert "results/latest points to 20260101-000000-removed, which does not exist" in result.stderr


def test_a_folder_that_cannot_be_written(gdlab, write, tmp_path):
    write()
    (tmp_path / "full").write_text("a file, not a folder")
    result = gdlab("run", "c.yaml", "--out", "full", "--quiet")
    assert result.exit_code == 1
    assert result.stderr.strip() == "full/small: Not a directory"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.yaml", "full"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["best", "{}", "--metric", "fnal_loss"], "there is no 'fnal_loss' in the results"),
        (["best", "{}", "--metric", "loss"], "loss is a series"),
        (["plot", "{}", "lr_sensitivty"], "did you mean lr_sensitivity?"),
        (["plot", "{}", "lr_sensitivity", "metrc=best_loss"], "metrc"),
        (["plot", "{}", "lr_sensitivity", "metric=nothing"], "there is no 'nothing' in the results"),
        (["plot", "{}", "loss_curves", "series=sharpness"], "there is no series 'sharpness'"),
        (["list", "rules", "adan"], "did you mean adam?"),
    ],
)
def test_unknown_metrics_figures_and_names_are_refused(gdlab, finished, words, said):
    before = sorted(finished.rglob("*"))
    result = gdlab(*(word.format(finished) for word in words))
    assert result.exit_code == 2
    assert said in result.stderr
    assert sorted(finished.rglob("*")) == before


def test_an_exception_in_a_rule_of_the_user_is_reported_with_its_line(gdlab, write, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import gdlab\n"
        "from gdlab import register\n\n\n"
        "@register.rule('broken-rule')\n"
        "def broken(lr=0.1):\n"
        "    return gdlab.Rule(lambda params: (), lambda grads, state, params=None, **extra: (grads + 'x', state))\n"
    )
    write("kind: gd}", "kind: broken-rule}")
    (tmp_path / "c.yaml").write_text((tmp_path / "c.yaml").read_text() + "code: [mine.py]\n")
    result = gdlab("run", "c.yaml")
    assert result.exit_code == 2
    assert "TypeError" in result.stderr
    assert f"{tmp_path / 'mine.py'}, line 7" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.yaml", "mine.py"]


def test_an_interrupt_has_exit_code_130(gdlab, write, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "run", interrupted)
    write()
    assert gdlab("run", "c.yaml").exit_code == 130


def test_a_bug_of_gdlab_keeps_its_traceback(gdlab, write, monkeypatch):
    def faulty(*args, **kwargs):
        raise ValueError("ours")

    monkeypatch.setattr(experiment, "run", faulty)
    write()
    result = gdlab("run", "c.yaml")
    assert isinstance(result.exception, ValueError)
