"""`space` reads labelled spaces."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdlab.engine.axis_values import SpaceError
from gdlab.engine.space import chain, space

seeded = settings(derandomize=True, deadline=None)

whole = st.integers(-(2**31), 2**31 - 1)
real = st.floats(allow_nan=False)
word = st.sampled_from(["adam", "gd", ""])
numbers = st.lists(whole | real, min_size=1, max_size=5)
things = st.lists(whole | real | word | st.booleans() | st.none() | st.tuples(whole), min_size=1, max_size=5)
names = st.lists(st.text("abcxyz.", min_size=1, max_size=4), unique=True, min_size=1, max_size=4)


def is_static(values):
    return any(isinstance(value, bool) or not isinstance(value, int | float) for value in values)


@st.composite
def overs(draw):
    """`over`, and its values as lists by name; some of its axes are zipped."""
    over, plain, left = {}, {}, draw(names)
    while left:
        group, left = left[: draw(st.integers(1, 2))], left[1:]
        left = [name for name in left if name not in group]
        size = draw(st.integers(1, 4))
        columns = [draw(st.lists(whole | real | word, min_size=size, max_size=size)) for _ in group]
        zipped = len(group) > 1 or draw(st.booleans())
        over[tuple(group) if zipped else group[0]] = list(zip(*columns, strict=True)) if zipped else columns[0]
        plain |= dict(zip(group, columns, strict=True))
    return over, plain


@seeded
@given(overs())
def test_space_keeps_names_shape_and_values(case):
    over, plain = case
    read = space(over)
    assert read.names == tuple(plain)
    assert read.shape == tuple(len(values) for values in over.values())
    assert read.size == int(np.prod(read.shape))
    columns = {n: c for block in read.blocks for n, c in zip(block.names, block.columns, strict=True)}
    for name, values in plain.items():
        assert isinstance(columns[name], list) == is_static(values)
        assert list(columns[name]) == values


@seeded
@given(overs())
def test_space_zips_axes_with_a_tuple_of_names_into_one_block(case):
    over, _ = case
    for block, (given_names, values) in zip(space(over).blocks, over.items(), strict=True):
        zipped = isinstance(given_names, tuple)
        assert block.dim == ("_".join(given_names) if zipped else given_names)
        for index, row in enumerate(values):
            read = block.row(index)
            assert tuple(read.values()) == (tuple(row) if zipped else (row,))
            assert {type(value) for value in read.values()} <= {int, float, str}


@seeded
@given(things)
def test_space_makes_an_array_of_numbers_and_a_list_of_anything_else(values):
    (block,) = space({"x": values}).blocks
    if is_static(values):
        assert block.columns[0] == values
    else:
        assert block.columns[0].dtype.kind == ("i" if all(isinstance(value, int) for value in values) else "f")
        assert block.columns[0].tolist() == values


@seeded
@given(numbers)
def test_space_reads_lists_tuples_generators_and_arrays_alike(values):
    (wanted,) = space({"x": values}).blocks[0].columns
    for same in (tuple(values), (value for value in values), np.array(values)):
        (column,) = space({"x": same}).blocks[0].columns
        assert column.dtype == wanted.dtype
        np.testing.assert_array_equal(column, wanted)


def test_space_reads_ranges_and_jax_arrays_as_numbers():
    read = space({"a": range(2, 5), "b": jnp.linspace(0, 1, 3)})
    np.testing.assert_array_equal(read.blocks[0].columns[0], [2, 3, 4])
    assert isinstance(read.blocks[1].columns[0], np.ndarray)
    np.testing.assert_array_equal(read.blocks[1].columns[0], [0, 0.5, 1])


@pytest.mark.parametrize("values", [np.array([True, False]), np.array(["a", "b"])])
def test_space_reads_arrays_of_booleans_and_strings_as_lists(values):
    assert space({"x": values}).blocks[0].columns[0] == values.tolist()


@seeded
@given(st.integers(1, 50))
def test_space_expands_a_count_of_an_axis_in_counts(count):
    for given_count in (count, np.int64(count)):
        np.testing.assert_array_equal(space({"member": given_count}, ["member"]).blocks[0].columns[0], np.arange(count))
    np.testing.assert_array_equal(space({"member": [count]}, ["member"]).blocks[0].columns[0], [count])


def test_space_expands_counts_inside_chains_and_zipped_spaces():
    read = space(chain({"a": [1.0], "n": 2}, {"a": [2.0], "n": 2}), ["n"])
    assert [(block.dim, block.size) for block in read.blocks] == [("run", 2), ("n", 2)]
    (block,) = space({("a", "n"): {"a": [1.0, 2.0], "n": 2}}, ["n"]).blocks
    assert [block.row(index) for index in range(4)] == [{"a": a, "n": n} for a in (1.0, 2.0) for n in (0, 1)]


@pytest.mark.parametrize("name", ["seed", "rule", "x"])
def test_space_refuses_a_count_of_any_axis_that_is_not_in_counts(name):
    with pytest.raises(SpaceError, match=f"the axis '{name}' needs a list or an array of values, not 3"):
        space({name: 3})


def test_space_without_axes_has_one_point():
    assert space({}).size == 1
    assert space({}).names == ()


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({"x": []}, "the axis 'x' has no values"),
        ({"x": ()}, "the axis 'x' has no values"),
        ({"x": np.zeros(0)}, "the axis 'x' has no values"),
        ({"x": np.zeros(0, bool)}, "the axis 'x' has no values"),
        ({"n": 0}, "the axis 'n' has no values"),
        ({"n": -3}, "the axis 'n' has no values"),
        ({"x": 3}, "the axis 'x' needs a list or an array of values, not 3"),
        ({"n": True}, "the axis 'n' needs a list or an array of values, not True"),
        ({"x": "adam"}, "the axis 'x' needs a list or an array of values, not 'adam'"),
        ({"x": {"a": 1}}, "the axis 'x' needs a list or an array of values"),
        ({"x": np.zeros((2, 3))}, "the axis 'x' needs one dimension, not 2"),
        ({"x": np.float64(3)}, "the axis 'x' needs one dimension, not 0"),
        ({"x": [2**31]}, "integers of the axis 'x' must fit in 32 bits"),
        ({"x": [0, -(2**31) - 1]}, "integers of the axis 'x' must fit in 32 bits"),
        ({"x": np.array([2**32 - 1], np.uint32)}, "integers of the axis 'x' must fit in 32 bits"),
        ({"x": [1], ("y", "x"): [(1, 2)]}, "the axis 'x' is given more than once"),
        ({("x", "x"): [(1, 2)]}, "the axis 'x' is given more than once"),
        ({("x", "y"): []}, "the zipped axes x, y have no rows"),
        ({("x", "y"): [(1, 2), (3,)]}, r"the zipped axes x, y must hold 2 values, not \(3,\)"),
        ({("x", "y"): [(1, 2, 3)]}, r"must hold 2 values, not \(1, 2, 3\)"),
        ({("x", "y"): [1, 2]}, "must hold 2 values, not 1"),
        ({("x", "y"): ["ab"]}, "must hold 2 values, not 'ab'"),
        ({("x", "y"): "ab"}, "'x, y' needs a list or an array of values"),
        ({("x", "y"): 4}, "'x, y' needs a list or an array of values"),
        ({("x", "y"): [(1, 2**31)]}, "integers of the axis 'y' must fit in 32 bits"),
        ({"a": [2**70]}, "must fit in 32 bits"),
        ({"a": [-1, 2**63]}, "must fit in 32 bits"),
        ({"a": [0.1, float("nan")]}, "the axis 'a' contains NaN"),
        ({"lr_b": [1.0], ("lr", "b"): [(1.0, 2.0)]}, "the zipped axes lr, b and another axis share the dim 'lr_b'"),
    ],
)
def test_space_refuses_an_invalid_space(over, message):
    with pytest.raises(SpaceError, match=message):
        space(over, ["n"])
