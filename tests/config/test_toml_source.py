"""TOML: the same config, and the places of what is in it."""

import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from gdlab.config import load, toml_source
from gdlab.config.node import Node
from gdlab.config.source import Source

TOML = """\
name = "trial"   # a comment with = and [brackets]
figures = [
  "curves",  # one
  {kind = "curves", series = '''
lo"ss'''},
]
problem.kind = "bowl"
problem.start = [1.0, 2]
[rules]
"gd v1".kind = "gd"

[rules.heavy]
kind = "momentum"
beta = 0.9
[sweep]
"lr, seed" = [[0.1, 0], [0.2, 1]]
[train]
steps = 10
stop = {loss = 1e-3}
"""

YAML = """\
name: trial
figures: [curves, {kind: curves, series: 'lo"ss'}]
problem: {kind: bowl, start: [1.0, 2]}
rules: {gd v1: {kind: gd}, heavy: {kind: momentum, beta: 0.9}}
sweep: {"lr, seed": [[0.1, 0], [0.2, 1]]}
train: {steps: 10, stop: {loss: 1e-3}}
"""


def test_the_same_config_in_both(write):
    assert load(write(TOML, "x.toml")) == load(write(YAML))


def test_where_the_mistakes_are(told):
    text = (
        TOML.replace('"curves",  #', '"curve",  #')
        .replace("series =", "serie =")
        .replace("[1.0, 2]", '[1.0, "2"]')
        .replace('"gd v1".kind = "gd"', '"gd v1".kind = "gdd"')
        .replace("beta = 0.9", "bta = 0.9")
        .replace("[0.2, 1]", "[0.2, -1]")
        .replace("steps = 10", "steps = -10")
        .replace("{loss =", "{los =")
    )
    places = [line.split(": ")[:2] for line in told(text, name="x.toml").splitlines() if line.startswith("x.toml")]
    assert places == [
        ["x.toml:3:3", "figures[0].kind"],
        ["x.toml:4:21", "figures[1].serie"],
        ["x.toml:8:23", "problem.start[1]"],
        ["x.toml:10:16", "rules.gd v1.kind"],
        ["x.toml:14:1", "rules.heavy.bta"],
        ["x.toml:16:31", "sweep.lr, seed[1][1]"],
        ["x.toml:18:9", "train.steps"],
        ["x.toml:19:9", "train.stop.los"],
    ]


def test_arrays_of_tables_and_dates(told):
    text = told(
        'name = "a"\nproblem = {kind = "bowl", condition = 1979-05-27 07:32:00}\ntrain.steps = 1\n'
        '[[figures]]\nkind = "curves"\n[[figures]]\nkind = "curve"\n'
        '[rules.gd]\nkind = "gd"\n[rules.gd.lr]\nkind = "cosin"\n',
        name="x.toml",
    )
    assert [line for line in text.splitlines() if line[0] == "x"] == [
        "x.toml:2:39: problem.condition: must be a number, not '1979-05-27T07:32:00'",
        "x.toml:7:8: figures[1].kind: there is no figure 'curve'",
        "x.toml:11:8: rules.gd.lr.kind: there is no schedule 'cosin'",
    ]
    assert "      |                                       ^^^^^^^^^^^^^^^^^^^\n" in text


def test_what_is_not_toml(told):
    assert told("a = ", name="x.toml").splitlines()[0] == "x.toml:1:4: not valid TOML: invalid value"
    assert told("a = 1\na = 2", name="x.toml").splitlines()[0] == "x.toml:2:6: not valid TOML: cannot overwrite a value"
    assert told("", name="x.toml") == "x.toml: the file is empty"
    assert told("a = " + "[" * 2000, name="x.toml") == "x.toml: nested too deeply"


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=6)
SCALARS = st.one_of(st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False), WORDS, st.datetimes())
VALUES = st.recursive(
    SCALARS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(WORDS.filter(bool), inside, max_size=3),
    max_leaves=8,
)


def leaves(node: Node):
    """Every scalar with the text that its mark points at, where it stands on one line."""
    if isinstance(node.value, dict | list):
        for inside in node.value.values() if isinstance(node.value, dict) else node.value:
            yield from leaves(inside)
    else:
        yield node


@given(st.dictionaries(WORDS.filter(bool), VALUES, min_size=1, max_size=4))
def test_every_mark_points_at_its_value(data):
    text = tomlkit.dumps(data)
    node, mistakes = toml_source.parse(Source("x.toml", text))
    assert not mistakes
    assert node is not None
    for leaf in leaves(node):
        written = leaf.mark.text[leaf.mark.column - 1 :][: leaf.mark.width]
        again, _ = toml_source.parse(Source("y.toml", f"value = {written}"))
        assert again is not None
        assert again.plain == {"value": leaf.value}
