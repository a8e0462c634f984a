"""Reading of ranges, and the numbers in them."""

import numpy as np
import pytest

from gdlab.rules import adam, gd
from gdlab.search import Choice, Range, SearchError
from gdlab.search.ranges import read


def test_read_makes_positive_ranges_logarithmic_and_lists_choices():
    found = read(
        {"lr": (1e-4, 1), "beta": (0.5, 0.99, "linear"), "decay": (0, 0.1), "shift": (-1.0, 1.0), "size": [8, None]}
    )
    assert found == {
        "lr": Range(1e-4, 1.0, "log"),
        "beta": Range(0.5, 0.99, "linear"),
        "decay": Range(0.0, 0.1, "linear"),
        "shift": Range(-1.0, 1.0, "linear"),
        "size": Choice((8, None)),
    }


def test_range_at_is_evenly_spaced_on_its_scale():
    np.testing.assert_allclose(Range(1e-3, 10.0, "log").at(np.linspace(0, 1, 5)), 10.0 ** np.arange(-3, 2), rtol=1e-12)
    np.testing.assert_allclose(Range(-1.0, 3.0, "linear").at(np.linspace(0, 1, 5)), np.arange(-1.0, 4.0), atol=1e-12)
    wide = Range(1e-30, 1e30, "log").at(np.linspace(0, 1, 3, dtype=np.float32))
    np.testing.assert_allclose(wide, [1e-30, 1.0, 1e30], rtol=1e-5)


def test_choice_labels_name_options_that_are_not_plain_values():
    assert Choice((gd, adam, "sgd", True, 2.5, None)).labels == ("gd", "adam", "sgd", True, 2.5, None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((0.1,), "must be"),
        ((0.1, 0.2, 3), "must be 'log' or 'linear', not 3"),
        ((0.2, 0.1), "needs finite low < high, not 0.2 and 0.1"),
        ((0.1, float("inf")), "needs finite low < high"),
        ((0.1, float("nan")), "needs finite low < high"),
        ((0.0, 1.0, "log"), "must be above 0, not 0.0"),
        ((True, 2.0), "must be"),
        (0.1, "must be"),
        ("ab", "must be"),
        ([], "needs one or more options"),
        ([1, 2, 1], "options with different names"),
        ([1, True], "options with different names"),
    ],
)
def test_read_names_an_invalid_range(given, message):
    with pytest.raises(SearchError, match=f"'lr'.*{message}"):
        read({"lr": given})


def test_read_refuses_empty_ranges():
    with pytest.raises(SearchError, match="ranges is empty"):
        read({})
