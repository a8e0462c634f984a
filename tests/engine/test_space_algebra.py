"""Chains and zipped spaces, compared with lists of points."""

import copy
import doctest
import itertools
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st

import gdlab
from gdlab import chain, evaluate
from gdlab.engine import space as module
from gdlab.engine.identity import identity
from gdlab.engine.space import ABSENT, Block, SpaceError, space

README = Path(__file__).parents[2] / "README.md"

seeded = settings(derandomize=True, deadline=None)
few = settings(derandomize=True, deadline=None, max_examples=12)

VALUES = {
    "a": st.sampled_from([0, 1, 2, 2.5]),
    "b": st.sampled_from([0.5, 1.0]),
    "c": st.sampled_from(["x", "y", None, True, 1]),
    "d": st.integers(0, 1),
}


def columns(name, least=1, most=3):
    return st.lists(VALUES[name], min_size=least, max_size=most)


@st.composite
def mappings(draw, least=0):
    """A mapping of axes; the first two may be zipped."""
    left, over = draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True, min_size=least, max_size=3)), {}
    if len(left) > 1 and draw(st.booleans()):
        pair, left, size = tuple(left[:2]), left[2:], draw(st.integers(1, 3))
        over[pair] = list(zip(*(draw(columns(name, size, size)) for name in pair), strict=True))
    return over | {name: draw(columns(name)) for name in left}


forests = st.recursive(mappings(), lambda inside: st.lists(inside, min_size=1, max_size=3), max_leaves=5)
trees = forests.map(lambda forest: forest if isinstance(forest, list) else [forest])


def built(tree):
    """A tree of lists and mappings as a chain of chains of mappings."""
    return chain(*(built(part) for part in tree)) if isinstance(tree, list) else tree


def listed(tree):
    """The distinct points of a tree, in plain Python."""
    if isinstance(tree, list):
        return once([point for part in tree for point in listed(part)])
    axes = [
        [{names: v} if isinstance(names, str) else dict(zip(names, v, strict=True)) for v in values]
        for names, values in tree.items()
    ]
    return once([{n: v for row in rows for n, v in row.items()} for rows in itertools.product(*axes)])


def once(points):
    seen = {}
    for point in points:
        seen.setdefault(key(point), point)
    return list(seen.values())


def key(point):
    return frozenset((name, identity(as_number(value))) for name, value in point.items())


def as_number(value):
    """Integers as floats: an axis that holds both is an axis of floats."""
    return float(value) if type(value) is int else value


def points(read):
    """The points of a space, in its order."""
    rows = ([block.row(index) for index in range(block.size)] for block in read.blocks)
    return [{n: v for row in rows for n, v in row.items()} for rows in itertools.product(*rows)]


def same(one, other):
    return [(b.names, b.label, [list(c) for c in b.columns]) for b in one.blocks] == [
        (b.names, b.label, [list(c) for c in b.columns]) for b in other.blocks
    ]


def leaves(tree):
    return [leaf for part in tree for leaf in leaves(part)] if isinstance(tree, list) else [tree]


@seeded
@given(mappings())
def test_space_of_a_mapping_is_the_product_of_its_axes(over):
    read = space(over)
    assert read.size == np.prod([len(values) for values in over.values()], dtype=int) == len(points(read))


@seeded
@given(trees)
def test_chain_holds_each_point_of_its_parts_once(tree):
    read, wanted = space(built(tree)), [key(point) for point in listed(tree)]
    found = [key(point) for point in points(read)]
    assert len(found) == len(set(found)) == read.size == len(wanted)
    assert set(found) == set(wanted)


@seeded
@given(trees)
def test_chain_keeps_the_order_of_the_parts(tree):
    wanted = listed(tree)
    for block in space(built(tree)).blocks:
        rows = [block.row(index) for index in range(block.size)]
        assert [key(row) for row in rows] == [key(row) for row in once([project(p, block.names) for p in wanted])]


def project(point, names):
    return {name: value for name, value in point.items() if name in names}


@seeded
@given(trees)
def test_chain_gives_axes_with_equal_values_in_every_part_their_own_dims(tree):
    parts, read = leaves(tree), space(built(tree))
    own = [(n,) if isinstance(n, str) else n for n in parts[0] if all(shared(n, p, parts[0]) for p in parts)]
    names = {name for part in parts for name in space(part).names}
    apart = names - {name for group in own for name in group}
    assert [block.names for block in read.blocks if not block.label] == own
    assert [block.label for block in read.blocks] == ["run"] * bool(apart) + [""] * len(own)
    assert set(read.names) == names


def shared(names, part, first):
    return names in part and identified(part[names]) == identified(first[names])


def identified(rows):
    return [tuple(identity(as_number(v)) for v in (row if isinstance(row, tuple) else (row,))) for row in rows]


@seeded
@given(trees, trees, trees)
def test_chain_is_associative(first, second, third):
    one, two, three = map(built, (first, second, third))
    flat = space(chain(one, two, three))
    assert same(space(chain(chain(one, two), three)), flat)
    assert same(space(chain(one, chain(two, three))), flat)


@seeded
@given(trees)
def test_chain_is_idempotent(tree):
    assert same(space(chain(built(tree), built(tree))), space(built(tree)))


def distinct(column):
    return st.lists(column, min_size=1, max_size=3, unique_by=lambda value: identity(as_number(value)))


@seeded
@given(st.fixed_dictionaries({name: distinct(values) for name, values in VALUES.items()}))
def test_chain_of_one_space_is_that_space(over):
    assert same(space(chain(over)), space(over))


@seeded
@given(mappings(least=1), st.randoms())
def test_zipped_space_equals_its_points_as_rows(over, random):
    names = list(space(over).names)
    random.shuffle(names)
    rows = [tuple(point[name] for name in names) for point in points(space(over))]
    assert same(space({tuple(names): over, "e": [0, 1]}), space({tuple(names): rows, "e": [0, 1]}))


@seeded
@given(trees.filter(lambda tree: len(listed(tree)[0]) and any(tree)))
def test_zipped_chain_holds_its_points_in_order(tree):
    names = tuple(dict.fromkeys(n for leaf in leaves(tree) for n in space(leaf).names))
    (block,) = space({names: built(tree)}).blocks
    assert block.dim == "_".join(names)
    assert [key(block.row(index)) for index in range(block.size)] == [key(point) for point in listed(tree)]


def test_chain_marks_axes_that_a_part_does_not_name_as_absent():
    read = space(
        chain({"rules.adam.b2": [0.9, 0.99], "e": [0, 1]}, {"beta": np.array([1, 2]), "e": [0, 1]}, {"e": [0, 1]})
    )
    run, e = read.blocks
    assert (run.names, run.dim, run.size) == (("rules.adam.b2", "beta"), "run", 5)
    assert run.columns == ([0.9, 0.99, ABSENT, ABSENT, ABSENT], [ABSENT, ABSENT, 1, 2, ABSENT])
    assert [run.row(i) for i in (0, 2, 4)] == [{"rules.adam.b2": 0.9}, {"beta": 1}, {}]
    assert (e.names, e.dim) == (("e",), "e")


def test_chain_promotes_the_numbers_of_an_axis_to_one_type():
    over = chain({"a": [1, 2], "b": [1.5]}, {"a": [0.5], "b": [1]}, {"a": [1.0], "b": [1.5]}, {"b": [3]})
    a, b = space(over).blocks[0].columns
    assert repr(a) == "[1.0, 2.0, 0.5, absent]"
    assert isinstance(b, np.ndarray)
    np.testing.assert_array_equal(b, [1.5, 1.5, 1.0, 3.0])


def test_absent_is_a_singleton_and_differs_from_any_other_value():
    assert repr(ABSENT) == str(ABSENT) == "absent"
    assert pickle.loads(pickle.dumps(ABSENT)) is copy.deepcopy(ABSENT) is ABSENT
    assert identity(ABSENT) not in {identity(value) for value in ("absent", None, False, 0)}


def test_block_uses_its_label_as_dim():
    assert Block(("a", "b"), ([1], [2])).dim == "a_b"
    assert Block(("a", "b"), ([1], [2]), "run").dim == "run"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: chain([1, 2]), r"must be a mapping from axes to values, or a chain of such mappings, not \[1, 2\]"),
        (lambda: space([1, 2]), "a space must be a mapping from axes to values"),
        (lambda: space({"lr": chain({"lr": [1]})}), "the axis 'lr' needs a list or an array of values"),
        (lambda: space(chain({"lr": [1]}, {"lr": []})), "the axis 'lr' has no values"),
        (lambda: space(chain({"run": [1]}, {"lr": [1]})), "an axis of a chain can't be named 'run'"),
        (lambda: space(chain({"lr": [1], "run": [1]}, {"lr": [2], "run": [1]})), "can't be named 'run'"),
        (
            lambda: space({("a", "b"): {"a": [1], "c": [1]}}),
            "the space for the zipped axes a, b must have exactly these axes, but it has a, c",
        ),
        (
            lambda: space({("a", "b"): chain({"a": [1]}, {"c": [2]})}),
            "the space for the zipped axes a, b must have exactly these axes, but it has a, c",
        ),
        (lambda: space({("a", "b"): {}}), "zipped axes a, b must have exactly these axes, but it has no axes"),
        (lambda: space({("a", "a"): {"a": [1]}}), "'a' is given more than once"),
        (lambda: space({("a", "b"): {"a": [1], "b": []}}), "the axis 'b' has no values"),
        (lambda: space({("a_b", "c"): [(1, 2)], ("a", "b_c"): [(1, 2)]}), "share the dim 'a_b_c'"),
        (lambda: space({(): []}), "zipped axes need names"),
        (lambda: space({"a": [ABSENT]}), "the axis 'a' has no values"),
        (lambda: space({"a": [ABSENT, float("nan")]}), "contains NaN"),
    ],
)
def test_space_refuses_an_invalid_chain_or_zipped_space(make, message):
    with pytest.raises(SpaceError, match=message):
        make()


def test_chain_docstring_example():
    assert doctest.testmod(module).failed == 0


def test_space_reads_the_examples_of_the_readme():
    (block,) = re.findall(r"^## Spaces\n\n```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    shapes = [space(eval(line, {"gdlab": gdlab}), ["seed"]).shape for line in block.splitlines()]
    assert shapes == [(24, 2, 8), (2, 8), (64, 8), (24, 2), (4, 8)]


NUMBERS = {name: st.integers(-4, 4).map(lambda n: n / 4) for name in "abc"}
DEFAULTS = {"a": 1.75, "b": 3.0, "c": -2.0}
numeric = st.lists(
    st.lists(st.sampled_from("abc"), unique=True, max_size=3).flatmap(
        lambda names: st.fixed_dictionaries({n: st.lists(NUMBERS[n], min_size=1, max_size=3) for n in names})
    ),
    min_size=1,
    max_size=3,
).filter(any)


def digits(a=DEFAULTS["a"], b=DEFAULTS["b"], c=DEFAULTS["c"]):
    """A different value at every point, exact in float32."""
    return a + 32 * b + 1024 * c


@few
@given(numeric)
def test_evaluate_gives_the_value_of_every_point_of_a_chain(tree):
    over = built(tree)
    read, data = space(over), evaluate(digits, over)
    assert data["value"].dims == tuple(block.dim for block in read.blocks)
    assert data["value"].values.ravel().tolist() == [digits(**point) for point in points(read)]
    for name in read.names:
        expected = [point.get(name, np.nan) for point in points(read)]
        column = data[name].broadcast_like(data["value"]).transpose(*data["value"].dims)
        np.testing.assert_array_equal(column.values.ravel(), expected)


@few
@given(st.data())
def test_evaluate_of_a_chain_that_covers_a_grid_equals_the_grid(data):
    a = sorted(data.draw(st.sets(NUMBERS["a"], min_size=2, max_size=4)))
    axes = {"a": a, "b": [0.5, 2.0, 4.0], "c": [1.0, 3.0]}
    box = st.fixed_dictionaries({name: distinct(st.sampled_from(values)) for name, values in axes.items()})
    boxes = data.draw(st.lists(box, max_size=3))
    rows = [{"b": axes["b"][:1], "c": axes["c"], "a": [a]} for a in axes["a"]]
    columns = [{"a": axes["a"], "b": [b], "c": axes["c"][::-1]} for b in axes["b"]]
    whole = evaluate(digits, chain(*data.draw(st.permutations([*boxes, *rows, *columns]))))
    assert whole["value"].dims == ("run",)
    unstacked = whole.set_index(run=["a", "b", "c"]).unstack("run")
    xarray.testing.assert_equal(unstacked.transpose("a", "b", "c"), evaluate(digits, axes))
