"""Rungs and brackets against the numbers of the Hyperband paper; the ranking against sorting in Python."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdlab.search.brackets import Bracket, bracket_sizes, rung_steps

seeded = settings(derandomize=True, deadline=None)


def bracket(size, entry=0, eta=3, seeds=1):
    return Bracket(np.arange(size * seeds).reshape(size, seeds), eta, entry)


def test_brackets_are_those_of_the_paper():
    # Li et al., 2018, R = 81 and eta = 3: for each bracket s the (n_i, r_i) of Algorithm 1. (In the paper's table the
    # brackets between the first and the last start with fewer points than the formula gives.)
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
        runs = bracket(size, entry=4 - s).run_counts(5)
        assert list(zip(runs, rungs, strict=True))[4 - s :] == table[s]
        assert set(runs[: 4 - s]) <= {size}


@seeded
@given(st.integers(0, 9), st.integers(2, 6))
def test_bracket_sizes_round_the_formula_up(most, eta):
    for s, size in bracket_sizes(most, eta).items():
        wanted = (most + 1) * eta**s
        assert (size - 1) * (s + 1) < wanted <= size * (s + 1)


@seeded
@given(st.integers(1, 50), st.integers(1, 10_000), st.integers(2, 5))
def test_rung_steps_are_a_factor_apart_except_the_last(first, more, eta):
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
def test_bracket_keeps_the_best_points(data):
    size, seeds = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 4))
    eta, entry, rungs = data.draw(st.integers(2, 4)), data.draw(st.integers(0, 2)), 4
    ranked_points = bracket(size, entry, eta, seeds)
    runs = ranked_points.run_counts(rungs)
    left = list(range(size))
    values = st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0, np.inf]), min_size=size * seeds, max_size=size * seeds)
    for rung, remaining in enumerate(runs[1:]):
        badness = np.array(data.draw(values))
        dropped = ranked_points.drop(rung, badness)
        if rung >= entry:
            ranked = sorted(left, key=lambda point: sorted_median(badness[point * seeds : (point + 1) * seeds]))
            out = ranked[max(1, len(left) // eta) :]
            left = [point for point in left if point not in out]
            assert sorted(dropped) == sorted(point * seeds + seed for point in out for seed in range(seeds))
        else:
            assert len(dropped) == 0
        assert remaining == len(left) * seeds


def sorted_median(values):
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


@pytest.mark.parametrize(("size", "eta", "left"), [(9, 3, [9, 3, 1, 1]), (11, 2, [11, 5, 2, 1]), (2, 3, [2, 1, 1, 1])])
def test_bracket_keeps_at_least_one_point(size, eta, left):
    assert bracket(size, eta=eta).run_counts(4) == left


def test_bracket_accepts_any_run_indices():
    ranked_points = Bracket(np.array([[7, 2], [0, 5], [3, 1]]), 3)
    badness = np.array([9.0, 0, 1, 9, 0, 9, 0, 2])
    assert sorted(ranked_points.drop(0, badness)) == [0, 1, 3, 5]
    assert list(itertools.chain(ranked_points.drop(1, badness))) == []
