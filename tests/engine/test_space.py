"""Reading a labelled space."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdlab.engine.space import SpaceError, space

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
    """`over`, and the same as lists by name: each name alone, or zipped with the next."""
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
def test_names_shape_and_columns_are_those_given(case):
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
def test_zipped_axes_share_a_block_and_its_rows(case):
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
def test_an_axis_of_numbers_is_an_array_and_any_other_a_list(values):
    (block,) = space({"x": values}).blocks
    if is_static(values):
        assert block.columns[0] == values
    else:
        assert block.columns[0].dtype.kind == ("i" if all(isinstance(value, int) for value in values) else "f")
        assert block.columns[0].tolist() == values


@seeded
@given(numbers)
def test_lists_tuples_generators_and_arrays_are_read_alike(values):
    (wanted,) = space({"x": values}).blocks[0].columns
    for same in (tuple(values), (value for value in values), np.array(values)):
        (column,) = space({"x": same}).blocks[0].columns
        assert column.dtype == wanted.dtype
        np.testing.assert_array_equal(column, wanted)


def test_ranges_and_jax_arrays_are_axes_of_numbers():
    read = space({"a": range(2, 5), "b": jnp.linspace(0, 1, 3)})
    np.testing.assert_array_equal(read.blocks[0].columns[0], [2, 3, 4])
    assert isinstance(read.blocks[1].columns[0], np.ndarray)
    np.testing.assert_array_equal(read.blocks[1].columns[0], [0, 0.5, 1])


@pytest.mark.parametrize("values", [np.array([True, False]), np.array(["a", "b"])])
def test_arrays_of_truth_values_and_of_words_are_static(values):
    assert space({"x": values}).blocks[0].columns[0] == values.tolist()


@seeded
@given(st.integers(1, 50))
def test_a_count_of_seeds_means_the_first_ones(count):
    for given_count in (count, np.int64(count)):
        np.testing.assert_array_equal(space({"seed": given_count}).blocks[0].columns[0], np.arange(count))
    np.testing.assert_array_equal(space({"seed": [count]}).blocks[0].columns[0], [count])


def test_a_space_without_axes_has_one_point():
    assert space({}).size == 1
    assert space({}).names == ()


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"x": []}, "the axis 'x' has no values"),
        ({"x": ()}, "the axis 'x' has no values"),
        ({"x": np.zeros(0)}, "the axis 'x' has no values"),
        ({"x": np.zeros(0, bool)}, "the axis 'x' has no values"),
        ({"seed": 0}, "the axis 'seed' has no values"),
        ({"seed": -3}, "the axis 'seed' has no values"),
        ({"x": 3}, "the axis 'x' needs a list or an array of values, not 3"),
        ({"seed": True}, "the axis 'seed' needs a list or an array of values, not True"),
        ({"x": "adam"}, "the axis 'x' needs a list or an array of values, not 'adam'"),
        ({"x": {"a": 1}}, "the axis 'x' needs a list or an array of values"),
        ({"x": np.zeros((2, 3))}, "the axis 'x' needs one dimension, not 2"),
        ({"x": np.float64(3)}, "the axis 'x' needs one dimension, not 0"),
        ({"x": [2**31]}, "whole numbers of the axis 'x' must fit in 32 bits"),
        ({"x": [0, -(2**31) - 1]}, "whole numbers of the axis 'x' must fit in 32 bits"),
        ({"x": np.array([2**32 - 1], np.uint32)}, "whole numbers of the axis 'x' must fit in 32 bits"),
        ({"x": [1], ("y", "x"): [(1, 2)]}, "the axis 'x' is given more than once"),
        ({("x", "x"): [(1, 2)]}, "the axis 'x' is given more than once"),
        ({("x", "y"): []}, "the zipped axes x, y hold no rows"),
        ({("x", "y"): [(1, 2), (3,)]}, r"the zipped axes x, y must hold 2 values, not \(3,\)"),
        ({("x", "y"): [(1, 2, 3)]}, r"must hold 2 values, not \(1, 2, 3\)"),
        ({("x", "y"): [1, 2]}, "must hold 2 values, not 1"),
        ({("x", "y"): ["ab"]}, "must hold 2 values, not 'ab'"),
        ({("x", "y"): "ab"}, "'x, y' needs a list or an array of values"),
        ({("x", "y"): 4}, "'x, y' needs a list or an array of values"),
        ({("x", "y"): [(1, 2**31)]}, "whole numbers of the axis 'y' must fit in 32 bits"),
    ],
)
def test_what_is_no_space_is_refused_in_words(over, said):
    with pytest.raises(SpaceError, match=said):
        space(over)


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"a": [2**70]}, "must fit in 32 bits"),
        ({"a": [-1, 2**63]}, "must fit in 32 bits"),
        ({"a": [0.1, float("nan")]}, "holds a value that is not a number"),
        ({"lr_b": [1.0], ("lr", "b"): [(1.0, 2.0)]}, "would both be called 'lr_b'"),
    ],
)
def test_values_and_names_that_would_be_lost_are_refused(over, said):
    with pytest.raises(SpaceError, match=said):
        space(over)
