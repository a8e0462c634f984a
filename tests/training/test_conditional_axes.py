"""Axes that only one rule has, or only a part of a chain: against sweeps without them."""

from functools import partial

import numpy as np
import pytest

from gdlab import Problem, chain, problems, rules, sweep
from gdlab.config import load
from gdlab.engine.plan import plan
from gdlab.engine.space import SpaceError
from gdlab.training.sweep import assignment

RULES = {"gd": rules.gd, "heavy": rules.momentum, "v1.5": rules.momentum}
LRS = [0.01, 0.03]


def final(rule, over, problem=problems.quadratic_2d, **settings):
    return sweep(problem, rule, over, steps=7, every=None, **settings)["final_loss"]


def descended(lr=0.01, beta=0.0, condition=10.0):
    """Seven steps of heavy ball on the quadratic of the plane, from (10, 1), by hand."""
    curvature, point, velocity = np.array([1.0, condition]), np.array([10.0, 1.0]), np.zeros(2)
    for _ in range(7):
        velocity = beta * velocity + curvature * point
        point = point - lr * velocity
    return 0.5 * curvature @ point**2


def same(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def count_runs(rule, over, problem=problems.quadratic_2d):
    """The number of runs of a sweep."""
    build, points = assignment(problem, rule, over, steps=7, every=None)
    return sum(group.size for group in plan(points, build))


def test_an_axis_of_one_rule_is_its_hyperparameter_and_makes_no_difference_to_the_others():
    space = {"lr": LRS, "rules.heavy.beta": [0.0, 0.5]}
    found = final(RULES, space)
    assert found.dims == ("rule", "lr", "rules.heavy.beta")
    same(found.sel(rule="heavy"), [[descended(lr, beta) for beta in (0.0, 0.5)] for lr in LRS])
    same(found.sel(rule="v1.5"), [[descended(lr, 0.9)] * 2 for lr in LRS])
    same(found.sel(rule="gd"), [[descended(lr)] * 2 for lr in LRS])
    assert count_runs(RULES, space) == 2 + 4 + 2


def test_the_longest_label_that_fits_is_meant():
    both = {"v1": rules.momentum, "v1.5": rules.momentum}
    found = final(both, {"lr": LRS, "rules.v1.5.beta": [0.0], "rules.v1.beta": [0.5]})
    for label, beta in (("v1.5", 0.0), ("v1", 0.5)):
        same(found.sel(rule=label).squeeze(), [descended(lr, beta) for lr in LRS])


def test_the_axis_of_one_rule_wins_over_that_of_all():
    space = {"beta": [0.3, 0.6, 0.9], "rules.heavy.beta": [0.0, 0.5], "lr": LRS}
    found = final(RULES, space)
    same(found.sel(rule="heavy"), [[[descended(lr, beta) for lr in LRS] for beta in (0.0, 0.5)]] * 3)
    same(found.sel(rule="v1.5"), [[[descended(lr, beta) for lr in LRS]] * 2 for beta in space["beta"]])
    assert count_runs(RULES, space) == 2 + 4 + 6


def test_it_wins_over_a_number_that_the_factory_has_bound():
    bound = {"heavy": partial(rules.momentum, beta=0.3), "gd": rules.gd}
    found = final(bound, {"lr": LRS, "rules.heavy.beta": [0.0, 0.5]}).sel(rule="heavy")
    same(found, [[descended(lr, beta) for beta in (0.0, 0.5)] for lr in LRS])


def test_a_number_of_a_schedule_of_one_rule(tmp_path):
    (tmp_path / "c.yaml").write_text(
        "name: t\nproblem: {kind: quadratic_2d}\ntrain: {steps: 7}\n"
        "rules:\n"
        "  fast: {kind: gd, lr: {kind: cosine, steps: 7}}\n"
        "  slow: {kind: gd, lr: {kind: cosine, peak: 0.02, steps: 7}}\n"
        "sweep: {rules.fast.lr.peak: [0.01, 0.03]}"
    )
    resolved = load(tmp_path / "c.yaml")
    assert resolved.over == {"rules.fast.lr.peak": [0.01, 0.03]}
    factories = resolved.rules
    found = final(factories, resolved.over)
    np.testing.assert_array_equal(found.sel(rule="fast"), final(factories["fast"], {"lr.peak": [0.01, 0.03]}))
    np.testing.assert_array_equal(found.sel(rule="slow"), [final(factories["slow"], {})] * 2)
    assert count_runs(factories, resolved.over) == 3


@pytest.mark.parametrize(
    ("rule", "name", "said"),
    [
        (RULES, "rules.havy.beta", "'rules.havy.beta': no rule is labelled 'havy'; did you mean heavy?"),
        (RULES, "rules.zzz.beta", "no rule is labelled 'zzz'; there are gd, heavy, v1.5"),
        (RULES, "rules.heavy.betta", "heavy has no hyperparameter 'betta'; did you mean beta?"),
        (RULES, "rules.gd.zzz", "gd has no hyperparameter 'zzz'; there are lr"),
        (RULES, "rules.v1.5.betta", "v1.5 has no hyperparameter 'betta'; did you mean beta?"),
        (RULES, "rules.heavy", "heavy has no hyperparameter ''"),
        (rules.gd, "rules.gd.lr", "'rules.gd.lr' needs a dict of rules by name"),
    ],
)
def test_an_axis_that_sets_nothing_is_refused(rule, name, said):
    with pytest.raises(SpaceError, match=said):
        final(rule, {name: [0.1]})


def test_a_hyperparameter_missing_from_a_part_of_a_chain_has_its_default():
    parts = chain({"lr": LRS, "beta": [0.5]}, {"beta": [0.0, 0.5]}, {"lr": [0.03]})
    found = final({"gd": partial(rules.gd, lr=0.02), "heavy": partial(rules.momentum, lr=0.02)}, parts)
    assert found.dims == ("rule", "run")
    assert found["lr"].values.tolist()[:2] == LRS
    same(found.sel(rule="gd"), [descended(lr) for lr in (0.01, 0.03, 0.02, 0.02, 0.03)])
    points = ((0.01, 0.5), (0.03, 0.5), (0.02, 0.0), (0.02, 0.5), (0.03, 0.9))
    same(found.sel(rule="heavy"), [descended(*point) for point in points])


def test_a_problem_argument_missing_from_a_part_of_a_chain_has_its_default():
    parts = chain({"lr": [0.01, 0.02]}, {"problem.condition": [4.0, 9.0]})
    found = final(partial(rules.gd, lr=0.03), parts, problem=partial(problems.quadratic_2d, condition=4.0))
    points = ((0.01, 4.0), (0.02, 4.0), (0.03, 4.0), (0.03, 9.0))
    same(found, [descended(lr, condition=condition) for lr, condition in points])


def data_problem():
    x = np.linspace(-1.0, 1.0, 12, dtype=np.float32)
    return Problem(init=lambda key: np.float32(0.0), loss=lambda w, batch: ((w - batch) ** 2).mean(), data=x)


def test_a_part_of_a_chain_without_seed_or_batch_size_has_the_defaults():
    found = final(rules.gd, chain({"batch_size": [4, None]}, {"seed": [2, 5]}), data_problem(), seed=5, batch_size=3)
    each = final(rules.gd, {"batch_size": [3, 4, None], "seed": [2, 5]}, data_problem())
    wanted = [each.sel(batch_size=size, seed=seed) for size, seed in ((4, 5), ("all", 5), (3, 2), (3, 5))]
    same(found, wanted)
    assert len(set(map(float, wanted))) == 4


def test_a_part_of_a_chain_may_have_a_single_rule():
    found = final(RULES, chain({"rule": ["gd"], "lr": LRS}, {"rule": ["heavy"], "lr": [0.01], "beta": [0.0, 0.5]}))
    assert found.dims == ("run",)
    assert found["rule"].values.tolist() == ["gd", "gd", "heavy", "heavy"]
    same(found, [*(descended(lr) for lr in LRS), descended(0.01, 0.0), descended(0.01, 0.5)])


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"rule": ["gdd"]}, "there is no rule 'gdd'; did you mean gd?"),
        ({"rule": [None]}, "there is no rule None; there are gd, heavy, v1.5"),
        (chain({"rule": ["gd"]}, {"lr": [1.0]}), "either all parts of a chain or none must have the axis 'rule'"),
        (chain({"lr": [1.0]}, {"step": [1.0]}), "an axis can't be called 'step'"),
    ],
)
def test_rules_and_steps_are_no_axes_like_others(space, said):
    with pytest.raises(SpaceError, match=said):
        final(RULES, space)


def test_a_rule_that_takes_anything_takes_its_own_axis():
    def anything(**given):
        return rules.gd(lr=given["rate"])

    found = final({"any": anything, "gd": rules.gd}, {"rules.any.rate": LRS, "rules.gd.lr": [0.01]})
    same(found.sel(rule="any")[:, 0], [descended(lr) for lr in LRS])
