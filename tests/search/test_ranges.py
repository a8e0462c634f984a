"""Ranges as they are written, and the numbers in them."""

import numpy as np
import pytest

from gdlab.rules import adam, gd
from gdlab.search import Choice, Range, SearchError
from gdlab.search.ranges import read


def test_a_range_is_logarithmic_where_it_can_be_and_a_list_is_a_choice():
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


def test_shares_are_even_on_the_scale_of_the_range():
    np.testing.assert_allclose(Range(1e-3, 10.0, "log").at(np.linspace(0, 1, 5)), 10.0 ** np.arange(-3, 2), rtol=1e-12)
    np.testing.assert_allclose(Range(-1.0, 3.0, "linear").at(np.linspace(0, 1, 5)), np.arange(-1.0, 4.0), atol=1e-12)
    wide = Range(1e-30, 1e30, "log").at(np.linspace(0, 1, 3, dtype=np.float32))
    np.testing.assert_allclose(wide, [1e-30, 1.0, 1e30], rtol=1e-5)


def test_options_that_are_no_plain_values_go_by_their_names():
    assert Choice((gd, adam, "sgd", True, 2.5, None)).labels == ("gd", "adam", "sgd", True, 2.5, None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((0.1,), "needs"),
        ((0.1, 0.2, 3), "must be 'log' or 'linear', not 3"),
        ((0.2, 0.1), "the lower first, not 0.2 and 0.1"),
        ((0.1, float("inf")), "two finite ends"),
        ((0.1, float("nan")), "two finite ends"),
        ((0.0, 1.0, "log"), "must be above 0, not 0.0"),
        ((True, 2.0), "needs"),
        (0.1, "needs"),
        ("ab", "needs"),
        ([], "needs options"),
        ([1, 2, 1], "each once"),
        ([1, True], "each once"),
    ],
)
def test_what_is_no_range_is_named(given, said):
    with pytest.raises(SearchError, match=f"'lr'.*{said}"):
        read({"lr": given})


def test_an_empty_search_is_refused():
    with pytest.raises(SearchError, match="nothing to search"):
        read({})
