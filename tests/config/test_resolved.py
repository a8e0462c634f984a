"""What a config resolves to: factories, axes, probes, the stop rule, positions."""

import functools
import os
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gdlab import register
from gdlab.config import load
from gdlab.engine import axes
from gdlab.rules.hyperparameters import call, hyperparameters
from gdlab.training.descent import descend
from gdlab.types import Problem, Stop

BASE = "name: trial\nproblem: {kind: bowl, condition: 3}\nrules: {m: {kind: momentum, beta: 1}}\ntrain: {steps: 10}\n"


@pytest.fixture
def loaded(write):
    return lambda text: load(write(text))


def test_resolved_binds_numbers_as_keywords_of_their_type(loaded):
    config = loaded(BASE.replace("condition: 3", "condition: 3, start: [1, 2], spread: null"))
    problem, rule = config.problem, config.rules["m"]
    assert (problem.func, rule.func) == (register.problems["bowl"].make, register.rules["momentum"].make)
    assert problem.keywords == {"condition": 3.0, "start": (1.0, 2.0), "spread": None}
    assert repr(rule.keywords) == "{'beta': 1.0}"
    assert problem().loss(None, None) == 3.0
    assert problem(condition=5.0).loss(None, None) == 5.0


def updates(rule, steps=4):
    """The first updates of a rule on a gradient of ones."""
    state, seen = rule.init(jnp.ones(2)), []
    for _ in range(steps):
        update, state = rule.update(jnp.ones(2), state, jnp.ones(2))
        seen.append(update)
    return jnp.stack(seen)


SCHEDULED = BASE.replace(
    "beta: 1", "beta: 0.5, lr: {kind: warmup, steps: 2, then: {kind: cosine, peak: 0.25, steps: 4}}"
)


def by_hand(beta=0.5, peak=0.25):
    """Heavy ball, v <- beta v + 1 and x <- x - lr v; lr climbs to `peak` over two steps, then falls over four."""
    velocity, seen = 0.0, []
    for step in range(4):
        velocity = beta * velocity + 1
        lr = peak * min(step / 2, 1) * 0.5 * (1 + np.cos(np.pi * max(step - 2, 0) / 4))
        seen.append([-lr * velocity] * 2)
    return np.asarray(seen)


def test_resolved_rule_builds_a_schedule_with_its_own_numbers(loaded):
    factory = loaded(SCHEDULED).rules["m"]
    assert isinstance(factory, functools.partial)
    assert factory.keywords == {"beta": 0.5, "lr.steps": 2, "lr.then.peak": 0.25, "lr.then.steps": 4}
    assert hyperparameters(factory) == {
        "beta",
        "form",
        "ema",
        "lr.steps",
        "lr.then.peak",
        "lr.then.steps",
        "lr.then.floor",
    }
    np.testing.assert_allclose(updates(factory()), by_hand(), rtol=1e-6)


def test_resolved_rule_numbers_of_a_schedule_can_be_traced(loaded):
    factory = loaded(SCHEDULED).rules["m"]
    traced = jax.jit(lambda peak, beta: updates(factory(**{"lr.then.peak": peak, "beta": beta})))
    np.testing.assert_allclose(traced(0.5, 0.25), by_hand(beta=0.25, peak=0.5), rtol=1e-6)
    many = jax.vmap(traced, in_axes=(0, None))(jnp.asarray([0.5, 1.0]), 0.25)
    np.testing.assert_allclose(many[1], by_hand(beta=0.25, peak=1.0), rtol=1e-6)


def test_resolved_rule_leaves_a_swept_number_free(loaded):
    config = loaded(
        "name: t\nproblem: {kind: bowl}\nrules: {g: {kind: gd, lr: {kind: cosine, steps: 4}}}\n"
        "sweep: {lr.peak: [1, 2]}\ntrain: {steps: 3}"
    )
    factory = config.rules["g"]
    with pytest.raises(TypeError, match="peak"):
        factory()
    np.testing.assert_allclose(updates(factory(**{"lr.peak": 2.0}), 1), [[-2.0, -2.0]])


AXES = """
sweep:
  lr: {log: [1, 100, 3]}
  beta, seed: [[0, 1], [0.5, 2]]
  problem.condition: [1, 2]
  problem.start: [[1, 2], [3, 4]]
  form: [sum, mean]
  problem.spread: {random: [1, 2, 4], seed: 7}
  batch_size: {linear: [1, 3, 3]}
"""


@pytest.mark.smoke
def test_resolved_over(loaded):
    config = loaded("name: t\nproblem: {kind: bowl}\nrules: {m: {kind: momentum}}\ntrain: {steps: 3}" + AXES)
    space = config.over
    assert list(space) == [
        "lr",
        ("beta", "seed"),
        "problem.condition",
        "problem.start",
        "form",
        "problem.spread",
        "batch_size",
    ]
    np.testing.assert_allclose(space["lr"], [1, 10, 100])
    assert repr(space["beta", "seed"]) == "[(0.0, 1), (0.5, 2)]"
    assert repr(space["problem.condition"]) == "[1.0, 2.0]"
    assert space["problem.start"] == [(1.0, 2.0), (3.0, 4.0)]
    assert space["form"] == ["sum", "mean"]
    np.testing.assert_array_equal(space["problem.spread"], axes.random(1, 2, 4, seed=7))
    assert repr(space["batch_size"]) == "[1, 2, 3]"


def test_resolved_over_count_of_seeds_is_a_list(loaded):
    assert loaded(BASE + "sweep: {seed: 8}").over == {"seed": list(range(8))}
    assert loaded(BASE + "sweep: {seed: [3, 5]}").over == {"seed": [3, 5]}
    assert loaded(BASE).over == {}


def test_resolved_probes_and_stop(loaded):
    config = loaded(
        BASE.replace("steps: 10", "steps: 10, stop: {loss: 1, bound: 2.5}") + "record: {probes: [grad_norm]}"
    )
    assert config.probes == {"grad_norm": register.probes["grad_norm"].make}
    assert config.stop == Stop(grad_norm=None, loss=1.0, bound=2.5)


def test_resolved_landscape_points_are_a_pair(loaded):
    assert loaded(BASE + "landscape: {points: 9}").config.landscape.points == (9, 9)
    assert loaded(BASE + "landscape: {points: [9, 8]}").config.landscape.points == (9, 8)


def test_resolved_rule_learning_rate_has_the_alias_lr(loaded, errors_of):
    register.rule("sgd")(lambda learning_rate, momentum=0.0: optax.sgd(learning_rate, momentum))
    text = "name: t\nproblem: {kind: bowl}\nrules: {s: {kind: sgd, lr: 2}}\ntrain: {steps: 3}"
    assert loaded(text).rules["s"].keywords == {"learning_rate": 2}
    loaded(text.replace(", lr: 2", "") + "\nsweep: {lr: [1]}")
    assert "rules.s.lr is set, and lr is also a sweep axis" in errors_of(text + "\nsweep: {lr: [1]}")
    assert "learning_rate is another name for it" in errors_of(text.replace("lr: 2", "learning_rate: 1, lr: 2"))
    assert "rules.s.learning_rate: is missing" in errors_of(text.replace(", lr: 2", ""))
    factory = loaded(text.replace("lr: 2", "lr: {kind: cosine, peak: 1, steps: 2}")).rules["s"]
    assert hyperparameters(factory) >= {"learning_rate.peak", "lr.peak", "momentum"}
    np.testing.assert_allclose(updates(call(factory, {"lr.peak": 3.0}), 1), [[-3.0, -3.0]])
    factory = loaded(text.replace("lr: 2", "momentum: {kind: cosine, peak: 1, steps: 2}, lr: 2")).rules["s"]
    np.testing.assert_allclose(updates(call(factory, {"lr": 3.0}), 1), [[-3.0, -3.0]])


def test_resolved_rule_unannotated_parameter_takes_a_schedule(loaded):
    def plain(rate):
        return optax.sgd(rate)

    register.rule("plain")(plain)
    text = BASE.replace("momentum, beta: 1", "plain, rate: {kind: cosine, peak: 2, steps: 4}").replace("{m:", "{s:")
    np.testing.assert_allclose(updates(loaded(text).rules["s"](), 1), [[-2.0, -2.0]])


def test_resolved_probe_has_its_options_and_interval(loaded):
    config = loaded(BASE + "record: {every: 2, probes: [grad_norm, {kind: curvature, iterations: 3, every: 4}]}")
    built = config.probes
    assert list(built) == ["grad_norm", "curvature"]
    problem = Problem(init=lambda key: jnp.ones(()), loss=lambda x, batch: x**2)
    trace = descend(problem, optax.sgd(0.0), jax.random.key(0), steps=6, every=2, probes={"c": built["curvature"]})
    np.testing.assert_array_equal(trace.series["c"], [3.0, np.nan, 3.0])


def test_resolved_position_of_a_field(write):
    write("problem: {kind: bowl}\nfigures:\n  - curves\n  - {kind: curves, levels: 3}\n", "base.yaml")
    text = "extends: base.yaml\nname: t\nrules: {g: {kind: gd}}\ntrain: {steps: 3}\n"
    resolved = load(write(text), ["train.steps=4"])
    assert resolved.position("figures", 1) == "base.yaml:4:5"
    assert resolved.position("rules", "g", "lr") == "x.yaml:3:12"  # not given: the rule's
    assert resolved.position("train", "steps") == "command line"
    error = resolved.error(("figures", 1), "can't be drawn", "drop it")
    assert str(error).splitlines() == [
        "base.yaml:4:5: figures[1]: can't be drawn",
        "    4 |   - {kind: curves, levels: 3}",
        "      |     ^^^^^^^^^^^^^^^^^^^^^^^^^",
        "  drop it",
    ]


def test_resolved_with_figures_of_the_command_line(write):
    resolved = load(write(BASE + "figures: [curves]\n")).with_figures(["curves", "pair"])
    assert [figure.kind for figure in resolved.config.figures] == ["curves", "pair"]
    assert (resolved.position("figures", 1), resolved.position("name")) == ("command line", "x.yaml:1:7")


def test_resolved_keeps_infinity(loaded):
    resolved = loaded(
        BASE.replace("beta: 1", "beta: .inf") + "sweep: {problem.spread: [.inf, 1], rules.m.ema: [true]}\n"
    )
    assert resolved.rules["m"].keywords == {"beta": float("inf")}
    assert resolved.over["problem.spread"] == [float("inf"), 1.0]


def test_resolved_problem_takes_a_path_as_text(loaded, errors_of):
    @register.problem("table")
    def table(data: Literal["digits"] | str | os.PathLike | tuple[jax.Array, jax.Array] = "digits"):
        return Problem(init=lambda key: None, loss=lambda params, batch: 0.0)

    text = BASE.replace("kind: bowl, condition: 3", "kind: table, data: my.npz")
    assert loaded(text).problem.keywords == {"data": "my.npz"}
    assert "problem.data: must be digits or text or a list of 2 numbers, not 3" in errors_of(
        text.replace("my.npz", "3")
    )
