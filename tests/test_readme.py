"""The code and the commands in the README run as printed."""

import re
from pathlib import Path

import pytest

from gdlab.cli import main
from gdlab.config import load
from gdlab.figures import lr_sensitivity  # noqa: F401  (fills the register)

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.mark.usefixtures("standard_promotion")
def test_the_python_example(capsys):
    (example,) = (block for block in blocks("python") if "import gdlab" in block)
    names: dict = {}
    exec(compile(example, "README.md", "exec"), names)
    data = names["data"]
    assert data["final_loss"].dims == ("lr", "decay", "seed")
    assert data["loss"].dims == ("lr", "decay", "seed", "step")
    assert data["final_loss"].size == 384
    assert float(data["final_loss"].min()) < 1e-3
    assert "xarray.DataArray" in capsys.readouterr().out


def test_the_config_is_a_good_one(tmp_path):
    (example,) = blocks("yaml")
    path = tmp_path / "config.yaml"
    path.write_text(example)
    assert load(path).config.name == "lr-sweep-digits"


def test_what_it_names_exists():
    for target in re.findall(r"\]\(([^)]*)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target
    documented = {word for words in re.findall(r"`gdlab (\w+)", README) for word in words.split()}
    assert documented <= set(main.commands)
    assert set(main.commands) <= documented
