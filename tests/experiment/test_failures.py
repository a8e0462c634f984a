"""A landscape, check or figure that fails is reported; the results of the sweep stay valid."""

import json

import pytest

from gdlab import register
from gdlab.experiment import failures
from gdlab.experiment import run as experiment


def provenance(folder):
    return json.loads((folder / "provenance.json").read_text())


def test_a_landscape_that_fails_leaves_the_sweep_finished(gdlab, write, tmp_path, monkeypatch):
    """Regression: the status stayed "running", and no figure was drawn."""

    def fails(*args, **kwargs):
        raise ValueError("no surface")

    write()
    with monkeypatch.context() as patched:
        patched.setattr(experiment, "landscapes_of", fails)
        result = gdlab("run", "c.yaml", "--format", "png", "--quiet")
    assert result.exit_code == 1, result.output
    folder = tmp_path / result.stdout.strip()
    message = f"could not compute the landscape (c.yaml:11:12): ValueError: no surface (in {__file__}, line 20)"
    assert message in result.stderr
    assert f"the sweep is finished; its results are in {folder.relative_to(tmp_path)}" in result.stderr
    assert provenance(folder)["status"] == "finished"
    assert provenance(folder)["failures"] == [message]
    assert sorted(path.name for path in (folder / "figures").iterdir()) == ["loss_curves.png", "lr_sensitivity.png"]
    assert message in gdlab("show", folder).stdout
    result = gdlab("resume", folder, "--format", "png", "--quiet")
    assert result.exit_code == 0, result.output
    assert provenance(folder)["failures"] == []
    assert (folder / "figures" / "landscape.png").exists()


CODE = """\
from gdlab import register


@register.figure("broken-figure")
def broken(data):
    return data["nothing"]
"""


def test_a_figure_of_the_user_that_fails_is_reported_with_its_line(gdlab, write, tmp_path):
    """Regression: an exception that is not a UserError ended the command with a traceback of gdlab."""
    (tmp_path / "mine.py").write_text(CODE)
    write("[lr_sensitivity, loss_curves, landscape]", "[broken-figure, lr_sensitivity]\ncode: [mine.py]")
    result = gdlab("run", "c.yaml", "landscape=null", "--format", "png", "--quiet", "--traceback")
    register.figures.pop("broken-figure")
    assert result.exit_code == 1, result.output
    assert "could not draw broken-figure (c.yaml:12:11): KeyError" in result.stderr
    assert f"(in {tmp_path / 'mine.py'}, line 6)" in result.stderr
    assert "Traceback (most recent call last)" in result.stderr
    folder = tmp_path / result.stdout.strip()
    assert [path.name for path in (folder / "figures").iterdir()] == ["lr_sensitivity.png"]


@pytest.mark.parametrize("error", [OSError("full"), KeyboardInterrupt()])
def test_recorded_raises_exceptions_after_which_resume_continues(error):
    found = []
    with pytest.raises(type(error)), failures.recorded("it", found):
        raise error
    assert found == []
