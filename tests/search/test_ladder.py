"""Rungs and brackets against the numbers of the Hyperband paper; who goes on, against sorting by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdlab.search.ladder import Contest, bracket_sizes, rung_steps

seeded = settings(derandomize=True, deadline=None)


def points(size, entry=0, eta=3, seeds=1):
    return Contest(np.arange(size * seeds).reshape(size, seeds), eta, entry)


def test_the_brackets_of_the_paper():
    # Li et al., 2018, R = 81 and eta = 3: for each bracket s the (n_i, r_i) that Algorithm 1 makes. (A table printed
    # with it begins the brackets between the first and the last with fewer points than the formula.)
    rungs = rung_steps(1, 81, 3)
    assert rungs == [1, 3, 9, 27, 81]
    sizes = bracket_sizes(4, 3)
    assert list(sizes.items()) == [(4, 81), (3, 34), (2, 15), (1, 8), (0, 5)]
    table = {
        4: [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        3: [(34, 3), (11, 9), (3, 27), (1, 81)],
        2: [(15, 9), (5, 27), (1, 81)],
        1: [(8, 27), (2, 81)],
        0: [(5, 81)],
    }
    for s, size in sizes.items():
        runs = points(size, entry=4 - s).runs(5)
        assert list(zip(runs, rungs, strict=True))[4 - s :] == table[s]
        assert set(runs[: 4 - s]) <= {size}


@seeded
@given(st.integers(0, 9), st.integers(2, 6))
def test_brackets_begin_with_as_many_as_the_formula_says(most, eta):
    for s, size in bracket_sizes(most, eta).items():
        wanted = (most + 1) * eta**s
        assert (size - 1) * (s + 1) < wanted <= size * (s + 1)


@seeded
@given(st.integers(1, 50), st.integers(1, 10_000), st.integers(2, 5))
def test_rungs_are_a_factor_apart_and_the_last_way_is_no_shorter(first, more, eta):
    steps = first + more
    rungs = rung_steps(first, steps, eta)
    assert rungs[-1] == steps
    assert rungs[:-1] == [first * eta**k for k in range(len(rungs) - 1)]
    if len(rungs) > 1:
        assert rungs[-2] * eta <= steps < rungs[-2] * eta**2
    else:
        assert steps < first * eta


@seeded
@given(st.data())
def test_the_best_go_on(data):
    size, seeds = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 4))
    eta, entry, rungs = data.draw(st.integers(2, 4)), data.draw(st.integers(0, 2)), 4
    contest = points(size, entry, eta, seeds)
    runs = contest.runs(rungs)
    left = list(range(size))
    values = st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0, np.inf]), min_size=size * seeds, max_size=size * seeds)
    for rung, ahead in enumerate(runs[1:]):
        badness = np.array(data.draw(values))
        gone = contest.drop(rung, badness)
        if rung >= entry:
            ranked = sorted(left, key=lambda point: sorted_median(badness[point * seeds : (point + 1) * seeds]))
            out = ranked[max(1, len(left) // eta) :]
            left = [point for point in left if point not in out]
            assert sorted(gone) == sorted(point * seeds + seed for point in out for seed in range(seeds))
        else:
            assert len(gone) == 0
        assert ahead == len(left) * seeds


def sorted_median(values):
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


@pytest.mark.parametrize(("size", "eta", "left"), [(9, 3, [9, 3, 1, 1]), (11, 2, [11, 5, 2, 1]), (2, 3, [2, 1, 1, 1])])
def test_one_point_goes_on_at_least(size, eta, left):
    assert points(size, eta=eta).runs(4) == left


def test_contests_number_their_runs_as_they_like():
    contest = Contest(np.array([[7, 2], [0, 5], [3, 1]]), 3)
    badness = np.array([9.0, 0, 1, 9, 0, 9, 0, 2])
    assert sorted(contest.drop(0, badness)) == [0, 1, 3, 5]
    assert list(itertools.chain(contest.drop(1, badness))) == []
