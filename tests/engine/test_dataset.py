"""`assemble` places the results of groups in their space; the pieces are built by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdlab.engine.axis_values import ABSENT
from gdlab.engine.dataset import Piece, assemble, label
from gdlab.engine.plan import Cover
from gdlab.engine.space import Block, Space, SpaceError, space

NO_STEPS = np.zeros(0, int)


def cover(rows, runs):
    """The cover that assigns the runs of a table to the points where the rows of the blocks meet."""
    table = np.asarray(runs)
    strides = [int(np.prod(table.shape[axis + 1 :])) for axis in range(table.ndim)]
    offsets = tuple(np.arange(size) * stride for size, stride in zip(table.shape, strides, strict=True))
    return Cover(tuple(map(np.asarray, rows)), offsets, table.reshape(-1))


def piece(rows, runs, **results):
    return Piece((cover(rows, runs),), {name: np.asarray(values) for name, values in results.items()})


def test_assemble_places_static_zipped_outer_and_unread_axes():
    points = space({"rule": ["p", "q"], ("a", "b"): [(1.0, 10), (2.0, 20), (1.0, 30)], "seed": [0, 1]})
    # The first rule reads a and the seed, and its runs are ordered by seed; the second reads b alone.
    p = piece([[0], [0, 1, 2], [0, 1]], [[[0, 2], [1, 3], [0, 2]]], y=[1, 2, 3, 4])
    q = piece([[1], [0, 1, 2], [0, 1]], [[[0, 0], [1, 1], [2, 2]]], y=[5, 6, 7])
    data = assemble(points, [p, q], set(), NO_STEPS)
    assert data["y"].dims == ("rule", "a_b", "seed")
    np.testing.assert_array_equal(data["y"], [[[1, 3], [2, 4], [1, 3]], [[5, 5], [6, 6], [7, 7]]])
    assert {name: coord.dims for name, coord in data.coords.items()} == {
        "rule": ("rule",),
        "a": ("a_b",),
        "b": ("a_b",),
        "seed": ("seed",),
    }
    np.testing.assert_array_equal(data["b"], [10, 20, 30])


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(1, 4), max_size=3), st.randoms(use_true_random=False), st.integers(1, 3))
def test_assemble_gives_each_point_the_result_of_its_run(sizes, random, parts):
    """A space of any shape, split along its first block into covers of one group with runs in random order."""
    points = Space(tuple(Block((name,), (np.arange(size),)) for name, size in zip("abc", sizes, strict=False)))
    table = np.array(random.sample(range(points.size), points.size)).reshape(points.shape)
    values = np.array([random.random() for _ in range(points.size)])
    if sizes:
        order = random.sample(range(sizes[0]), sizes[0])
        rows = [order[part::parts] for part in range(parts) if order[part::parts]]
        rest = [np.arange(size) for size in sizes[1:]]
        covers = tuple(cover([np.array(own), *rest], table[np.array(own)]) for own in rows)
    else:
        covers = (cover([], table),)
    data = assemble(points, [Piece(covers, {"v": values})], set(), NO_STEPS)
    for place in itertools.product(*map(range, sizes)):
        assert data["v"].values[place] == values[table[place]]


def test_run_numbers_allows_any_order_of_the_blocks():
    rows = [np.arange(2), np.arange(3), np.arange(4)]
    offsets = (np.arange(2) * 4, np.arange(3) * 8, np.arange(4))  # the second block varies slowest
    runs = np.random.default_rng(0).permutation(24)
    placed = Cover(tuple(rows), offsets, runs).run_numbers()
    for i, j, k in itertools.product(*map(range, (2, 3, 4))):
        assert placed[i, j, k] == runs[8 * j + 4 * i + k]


def test_assemble_repeats_the_result_of_a_repeated_value():
    points = space({"x": [2.0, 1.0, 2.0]})
    data = assemble(points, [piece([[0, 1, 2]], [0, 1, 0], v=[5, 6])], set(), NO_STEPS)
    np.testing.assert_array_equal(data["v"], [5, 6, 5])


def test_assemble_takes_pieces_in_any_order():
    column = [True, 1, None, False, 0]
    pieces = [piece([[place]], [0], v=[place]) for place in range(5)]
    data = assemble(space({"flag": column}), pieces[::-1], set(), NO_STEPS)
    np.testing.assert_array_equal(data["v"], np.arange(5))


def test_assemble_places_a_static_value_at_its_rows_of_zipped_axes():
    points = space({("n", "x"): [(2, 1.0), (3, 1.0), (2, 7.0)]})
    data = assemble(points, [piece([[0, 2]], [0, 1], v=[10, 20]), piece([[1]], [0], v=[30])], set(), NO_STEPS)
    np.testing.assert_array_equal(data["v"], [10, 30, 20])


def test_assemble_names_the_dims_of_series_and_of_arrays():
    values = {"loss": np.ones((2, 3)), "path": np.ones((2, 3, 4)), "end": np.ones((2, 5))}
    steps = np.array([0, 10, 20])
    data = assemble(space({"lr": [0.1, 0.2]}), [piece([[0, 1]], [0, 1], **values)], {"loss", "path"}, steps)
    assert data["loss"].dims == ("lr", "step")
    assert data["path"].dims == ("lr", "step", "path_0")
    assert data["end"].dims == ("lr", "end_0")
    np.testing.assert_array_equal(data["step"], steps)


def test_assemble_without_series_has_no_step():
    data = assemble(space({"x": [1.0]}), [piece([[0]], [0], v=[1.0])], set(), np.arange(3))
    assert set(data.coords) == {"x"}


@pytest.mark.parametrize(
    ("dtype", "kept", "fill"),
    [
        (np.float32, np.float32, np.nan),
        (np.float64, np.float64, np.nan),
        (np.int32, np.int32, -1),
        (bool, np.int32, -1),
        (np.uint8, np.int32, -1),
        (np.uint32, np.int64, -1),
    ],
)
def test_assemble_fills_smaller_and_missing_results(dtype, kept, fill):
    small = piece([[0]], [0], v=np.ones((1, 1), dtype), own=np.ones(1, dtype))
    large = piece([[1]], [0], v=np.ones((1, 3), dtype))
    data = assemble(space({"k": ["a", "b", "c"]}), [small, large], set(), NO_STEPS)
    assert data["v"].dtype == data["own"].dtype == kept
    np.testing.assert_array_equal(data["v"], [[1, fill, fill], [1, 1, 1], [fill] * 3])
    np.testing.assert_array_equal(data["own"], [1, fill, fill])


def test_assemble_of_a_space_without_axes_is_its_one_result():
    data = assemble(space({}), [piece([], 0, v=[[1, 2]])], set(), NO_STEPS)
    assert data["v"].dims == ("v_0",)
    np.testing.assert_array_equal(data["v"], [1, 2])


@pytest.mark.parametrize("name", ["a", "b", "a_b", "step"])
def test_assemble_refuses_a_result_named_like_an_axis_or_dim(name):
    with pytest.raises(SpaceError, match=f"a result and an axis have the same name, '{name}'"):
        assemble(space({("a", "b"): [(1.0, 2.0)]}), [piece([[0]], [0], **{name: [1.0]})], set(), NO_STEPS)


def test_label_keeps_plain_values_and_names_other_values():
    def adam():
        pass

    numbers = np.array([0.1, 0.2])
    assert label(numbers) is numbers
    named = label([adam, "gd", None, True, (1, 2)])
    assert named.dtype == object
    assert named.tolist() == ["adam", "gd", "None", True, "(1, 2)"]


def test_label_of_an_absent_number_is_nan():
    np.testing.assert_array_equal(label([0.5, ABSENT, 2]), [0.5, np.nan, 2.0])
    assert label([ABSENT, "gd", True]).tolist() == ["absent", "gd", True]
