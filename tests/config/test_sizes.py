"""The sizes of a config: merged, overridden and dumped."""

import pytest

from gdlab.config import ConfigError, dump, load

TEXT = """
name: sized
problem: {kind: bowl}
rules: {gd: {kind: gd}}
sweep: {lr: [0.1, 0.2]}
train: {steps: 5}
sizes:
  full: {train: {steps: 500}, sweep: {seed: 3}}
  fast: {train: {steps: 2}}
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "sized.yaml"
    path.write_text(TEXT)
    return path


def test_size_is_merged_over_the_config(path):
    assert load(path).config.train.steps == 5
    full = load(path, ["size=full"]).config
    assert (full.train.steps, full.sweep, full.size) == (500, {"lr": [0.1, 0.2], "seed": 3}, "full")


def test_size_gives_way_to_overrides(path):
    assert load(path, ["size=full", "train.steps=7"]).config.train.steps == 7
    assert load(path, ["train.steps=7", "size=full"]).config.train.steps == 7
    assert load(path, ["sizes.full.train.steps=8", "size=full"]).config.train.steps == 8


def test_size_dumped_loads_as_the_same(path, tmp_path):
    full = load(path, ["size=full"]).config
    again = tmp_path / "again.yaml"
    again.write_text(dump(full))
    assert load(again).config == full


def test_size_may_be_given_in_the_file(path):
    path.write_text(TEXT + "size: fast\n")
    assert load(path).config.train.steps == 2
    assert load(path, ["size=small"]).config.train.steps == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("size=ful", "there is no size 'ful' of this config"),
        ("size=3", "must be text"),
        ("sizes.full=3", "must be a mapping"),
    ],
)
def test_size_errors(path, change, message):
    with pytest.raises(ConfigError, match=message):
        load(path, ["size=full", change] if "sizes" in change else [change])


def test_size_errors_have_their_position(path):
    path.write_text(TEXT.replace("{steps: 500}", "{stepz: 500}"))
    with pytest.raises(ConfigError, match="unknown key") as caught:
        load(path, ["size=full"])
    assert ":8:" in str(caught.value)


def test_size_is_small_without_sizes(tmp_path):
    plain = tmp_path / "plain.yaml"
    plain.write_text(TEXT.partition("sizes:")[0])
    assert load(plain, ["size=small"]).config.size == "small"
    with pytest.raises(ConfigError, match="there is small"):
        load(plain, ["size=full"])
