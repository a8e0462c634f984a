"""`gdlab reproduce` on two small experiments: exit codes, claims.json and the gallery."""

import json

import pytest
from matplotlib.image import imread

from gdlab import register

CODE = """
from gdlab import register
from gdlab.analysis.claims import Claim, at_most, between

@register.check("bowl")
def check(data, bound: float = 1e-2, fail: bool = False):
    from gdlab.errors import UserError
    if fail:
        raise UserError("nothing to check here")
    value = float(data["final_loss"].min())
    least = Claim("least loss", "It goes down.", "Nobody (2026)", at_most(bound), [value], how="so", tolerance="so")
    too_short = "it takes more steps" if data.attrs["size"] == "fast" else ""
    late = Claim("late", "Later too.", "Nobody (2026)", between(0, 1), [0.5], "so", "so", unchecked=too_short)
    return [least, late]

@register.figure("bowl")
def draw(data):
    from gdlab.figures.style import new_figure, style
    with style():
        figure = new_figure("single", 2)
        figure.add_subplot().plot(data["lr"], data["final_loss"].squeeze())
    return figure
"""
CONFIG = """
# A bowl that gradient descent goes down.
name: {name}
code: [bowl.py]
problem: {{kind: quadratic}}
rules: {{gd: {{kind: gd}}}}
sweep: {{lr: [0.1, 0.2]}}
train: {{steps: 200}}
checks: [{{kind: bowl}}]
figures: [bowl]
"""


@pytest.fixture
def experiments(tmp_path):
    """Two experiments, and a config without checks. The kinds that they register are removed afterwards."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "bowl.py").write_text(CODE)
    (tmp_path / "configs" / "first_bowl.yaml").write_text(CONFIG.format(name="first") + "sizes: {fast: {}}\n")
    (tmp_path / "configs" / "second_bowl.yaml").write_text(CONFIG.format(name="second"))
    (tmp_path / "configs" / "none.yaml").write_text(CONFIG.format(name="none").replace("checks:", "checks: [] #"))
    yield tmp_path
    for shelf in (register.checks, register.figures):
        shelf.pop("bowl", None)


def claims(tmp_path, name):
    return json.loads((tmp_path / "results" / name / "latest" / "claims.json").read_text())["claims"]


def test_reproduce_with_claims_that_hold(gdlab, experiments):
    result = gdlab("reproduce", "first-bowl", "--format", "png")
    assert result.exit_code == 0, result.output
    assert [(one["check"], one["status"]) for one in claims(experiments, "first")] == [("bowl", "held")] * 2
    assert "least loss" in result.stdout


def test_run_and_reproduce_exit_with_4_if_a_claim_fails(gdlab, experiments):
    for words in (("reproduce", "first_bowl"), ("run", "configs/first_bowl.yaml")):
        result = gdlab(*words, "checks.0.bound=1e-30", "--format", "png")
        assert result.exit_code == 4
        assert "1 of 2 claims did not hold" in result.stderr
        assert [one["status"] for one in claims(experiments, "first")] == ["failed", "held"]
    shown = gdlab("show", "results/first")
    assert "failed" in shown.stdout


def test_a_check_that_raises_leaves_the_figures(gdlab, experiments):
    result = gdlab("run", "configs/first_bowl.yaml", "checks.0.fail=true", "--format", "png")
    assert result.exit_code == 1, result.output
    assert "could not check bowl (configs/first_bowl.yaml:" in result.stderr
    assert "): nothing to check here" in result.stderr
    assert (experiments / "results" / "first" / "latest" / "figures" / "bowl.png").exists()


def test_reproduce_all_fast(gdlab, experiments):
    result = gdlab("reproduce", "all", "--fast", "--gallery", "gallery", "--format", "png")
    assert result.exit_code == 0, result.output
    assert [one["status"] for one in claims(experiments, "first")] == ["held", "unchecked"]
    assert "it takes more steps" in result.stdout
    page = (experiments / "gallery" / "README.md").read_text()
    assert "| [first_bowl](#first_bowl) | A bowl that gradient descent goes down. | 1 held, 1 unchecked |" in page
    assert "`gdlab reproduce first_bowl --size fast`" in page
    assert "`gdlab reproduce second_bowl`" in page
    assert "none" not in page
    picture = imread(experiments / "gallery" / "first_bowl.png")
    plain = imread(experiments / "results" / "first" / "latest" / "figures" / "bowl.png")
    assert picture.std() > 0.05
    assert picture.shape[1] <= min(1000, plain.shape[1])


def test_reproduce_one_keeps_the_others_in_the_gallery(gdlab, experiments):
    for _ in range(2):
        assert gdlab("reproduce", "second_bowl", "--gallery", "gallery", "--format", "png").exit_code == 0
        (experiments / "gallery" / "other.json").write_text(
            json.dumps(json.loads((experiments / "gallery" / "second_bowl.json").read_text()) | {"slug": "other"})
        )
    page = (experiments / "gallery" / "README.md").read_text()
    assert page.count("\n## ") == 2


def test_reproduce_twice_gives_the_same_numbers_and_figures(gdlab, experiments):
    def made():
        assert gdlab("reproduce", "first_bowl", "--fresh", "--format", "png").exit_code == 0
        folder = experiments / "results" / "first" / "latest"
        return (folder / "claims.json").read_bytes(), (folder / "figures" / "bowl.png").read_bytes()

    assert made() == made()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("first",), "did you mean first_bowl?"),
        (("zzz",), "there are first_bowl, second_bowl"),
        (("first_bowl", "--size", "huge"), "there is no size 'huge' of this config"),
        (("first_bowl", "--size", "full", "--fast"), "give one of them"),
        (("all", "train.steps=2"), "KEY=VALUE applies to one experiment"),
    ],
)
def test_reproduce_refuses_wrong_arguments(gdlab, experiments, words, message):
    result = gdlab("reproduce", *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (experiments / "results").exists()


def test_list_experiments(gdlab, experiments):
    result = gdlab("list", "experiments")
    assert "first_bowl" in result.stdout
    assert "small, fast" in result.stdout
    assert "none" not in result.stdout
