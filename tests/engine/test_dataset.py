"""Groups put back into the space they came from, from pieces made by hand."""

import numpy as np
import pytest

from gdlab.engine.dataset import Piece, assemble, label
from gdlab.engine.plan import Lanes
from gdlab.engine.space import SpaceError, space

NONE = Lanes((), (), False)
NO_STEPS = np.zeros(0, int)


def lanes(outer=False, **columns):
    return Lanes(tuple(columns), tuple(np.asarray(column) for column in columns.values()), outer)


def test_static_zipped_outer_and_irrelevant_axes_each_find_their_place():
    points = space({"rule": ["p", "q"], ("a", "b"): [(1.0, 10), (2.0, 20), (1.0, 30)], "seed": 2})
    p = Piece({"rule": "p"}, [NONE, lanes(a=[1.0, 2.0]), lanes(True, seed=[0, 1])], {"y": np.array([[1, 2], [3, 4]])})
    q = Piece({"rule": "q"}, [NONE, lanes(b=[10, 20, 30]), NONE], {"y": np.array([[5, 6, 7]])})
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


def test_outer_and_inner_blocks_may_stand_in_any_order():
    points = space({"x": [1.0, 2.0], "s": [7, 8, 9], "y": [3.0, 4.0, 5.0, 6.0], "t": [0, 1]})
    own = [lanes(x=[1.0, 2.0]), lanes(True, s=[7, 8, 9]), lanes(y=[3.0, 4.0, 5.0, 6.0]), lanes(True, t=[0, 1])]
    values = np.arange(48).reshape(6, 8)
    data = assemble(points, [Piece({}, own, {"v": values})], set(), NO_STEPS)
    for i, s in enumerate((7, 8, 9)):
        for j, t in enumerate((0, 1)):
            for k, x in enumerate((1.0, 2.0)):
                for m, y in enumerate((3.0, 4.0, 5.0, 6.0)):
                    assert data["v"].sel(x=x, s=s, y=y, t=t) == values[2 * i + j, 4 * k + m]


def test_a_value_given_twice_stands_at_both_places():
    points = space({"x": [2.0, 1.0, 2.0]})
    data = assemble(points, [Piece({}, [lanes(x=[2.0, 1.0])], {"v": np.array([[5, 6]])})], set(), NO_STEPS)
    np.testing.assert_array_equal(data["v"], [5, 6, 5])


def test_truth_values_numbers_and_none_are_told_apart():
    column = [True, 1, None, False, 0]
    pieces = [Piece({"flag": value}, [NONE], {"v": np.array([[place]])}) for place, value in enumerate(column)]
    data = assemble(space({"flag": column}), pieces[::-1], set(), NO_STEPS)
    np.testing.assert_array_equal(data["v"], np.arange(5))


def test_a_static_value_covers_only_its_rows_of_zipped_axes():
    points = space({("n", "x"): [(2, 1.0), (3, 1.0), (2, 7.0)]})
    two = Piece({"n": 2}, [lanes(x=[1.0, 7.0])], {"v": np.array([[10, 20]])})
    three = Piece({"n": 3}, [lanes(x=[1.0])], {"v": np.array([[30]])})
    data = assemble(points, [two, three], set(), NO_STEPS)
    np.testing.assert_array_equal(data["v"], [10, 30, 20])


def test_series_have_the_dim_step_and_other_results_dims_of_their_own():
    values = {"loss": np.ones((1, 2, 3)), "path": np.ones((1, 2, 3, 4)), "end": np.ones((1, 2, 5))}
    steps = np.array([0, 10, 20])
    data = assemble(space({"lr": [0.1, 0.2]}), [Piece({}, [lanes(lr=[0.1, 0.2])], values)], {"loss", "path"}, steps)
    assert data["loss"].dims == ("lr", "step")
    assert data["path"].dims == ("lr", "step", "path_0")
    assert data["end"].dims == ("lr", "end_0")
    np.testing.assert_array_equal(data["step"], steps)


def test_without_series_there_is_no_step():
    piece = Piece({}, [lanes(x=[1.0])], {"v": np.ones((1, 1))})
    assert set(assemble(space({"x": [1.0]}), [piece], set(), np.arange(3)).coords) == {"x"}


@pytest.mark.parametrize(("dtype", "blank"), [(np.float32, np.nan), (np.float64, np.nan), (np.int32, -1)])
def test_smaller_and_missing_results_are_blank(dtype, blank):
    small = Piece({"k": "a"}, [NONE], {"v": np.ones((1, 1, 1), dtype), "own": np.ones((1, 1), dtype)})
    large = Piece({"k": "b"}, [NONE], {"v": np.full((1, 1, 3), 2, dtype)})
    data = assemble(space({"k": ["a", "b", "c"]}), [small, large], set(), NO_STEPS)
    assert data["v"].dtype == data["own"].dtype == dtype
    np.testing.assert_array_equal(data["v"], [[1, blank, blank], [2, 2, 2], [blank] * 3])
    np.testing.assert_array_equal(data["own"], [1, blank, blank])


def test_a_space_without_axes_holds_its_one_result():
    data = assemble(space({}), [Piece({}, [], {"v": np.array([[[1, 2]]])})], set(), NO_STEPS)
    assert data["v"].dims == ("v_0",)
    np.testing.assert_array_equal(data["v"], [1, 2])


@pytest.mark.parametrize("name", ["a", "b", "a_b", "step"])
def test_a_result_may_not_be_named_like_an_axis_a_dim_or_the_step(name):
    piece = Piece({}, [lanes(a=[1.0], b=[2.0])], {name: np.ones((1, 1))})
    with pytest.raises(SpaceError, match=f"a result and an axis are both called '{name}'"):
        assemble(space({("a", "b"): [(1.0, 2.0)]}), [piece], set(), NO_STEPS)


def test_labels_are_plain_values_or_names():
    def adam():
        pass

    numbers = np.array([0.1, 0.2])
    assert label(numbers) is numbers
    named = label([adam, "gd", None, True, (1, 2)])
    assert named.dtype == object
    assert named.tolist() == ["adam", "gd", "None", True, "(1, 2)"]
