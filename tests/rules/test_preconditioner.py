"""The preconditioner of a rule: against NumPy, against the rule's own updates, and its stability threshold."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gdlab import Problem, descend, register, rules
from gdlab.rules.preconditioner import preconditioner
from gdlab.rules.threshold import preconditioned_threshold, sharpness_threshold
from gdlab.training.probes import position

G = np.random.default_rng(0).normal(size=(12, 3)) * np.array([1.0, 1e-3, 10.0])
B1, B2, EPS = 0.8, 0.9, 1e-3
AVERAGES = {"b1": B1, "b2": B2, "eps": EPS}


def average(x, decay):
    """(1 - decay) sum_k decay^(t - k) x_k."""
    t = len(x)
    return (1 - decay) * np.sum(decay ** (t - 1 - np.arange(t))[:, None] * x, axis=0)


def adam(g):
    t = len(g)
    return (1 - B1**t) * (np.sqrt(average(g**2, B2) / (1 - B2**t)) + EPS)


def amsgrad(g):
    return np.sqrt(np.max([average(g[: t + 1] ** 2, B2) for t in range(len(g))], axis=0)) + EPS


def amsgrad_corrected(g):
    greatest = np.max([average(g[: t + 1] ** 2, B2) / (1 - B2 ** (t + 1)) for t in range(len(g))], axis=0)
    return (1 - B1 ** len(g)) * (np.sqrt(greatest) + EPS)


def adamax(g):
    t = len(g)
    return (1 - B1**t) * np.max(B2 ** (t - 1 - np.arange(t))[:, None] * (np.abs(g) + EPS), axis=0)


def nadam(g):
    return np.sqrt(B2 * average(g**2, B2) / (1 - B2 ** len(g))) + EPS


def radam(g):
    t, top = len(g), 2 / (1 - B2) - 1
    rho = top - 2 * t * B2**t / (1 - B2**t)
    if rho <= 4:
        return np.full(3, 1 - B1**t)
    r = np.sqrt((rho - 4) * (rho - 2) * top / ((top - 4) * (top - 2) * rho))
    return adam(g) / r


def adabelief(g):
    t = len(g)
    surprise = [(g[k] - average(g[: k + 1], B1)) ** 2 + EPS / (1 - B2) for k in range(t)]
    return (1 - B1**t) * (np.sqrt(average(np.array(surprise), B2) / (1 - B2**t)) + EPS)


def yogi(g):
    v = np.full(3, 0.25)
    for square in g**2:
        v = v - (1 - B2) * np.sign(v - square) * square
    return np.sqrt(v) + EPS


def rmsprop(g):
    return np.sqrt(average(g**2, B2)) + EPS


def rmsprop_centred(g):
    return np.sqrt(average(g**2, B2) - average(g, B2) ** 2 + EPS)


def adagrad(g):
    return np.sqrt(0.5 + np.sum(g**2, axis=0)) + EPS


CASES = [
    ("adam", AVERAGES, adam),
    ("adamw", AVERAGES | {"weight_decay": 0.5}, adam),
    ("amsgrad", AVERAGES, amsgrad),
    ("amsgrad", AVERAGES | {"corrected": True}, amsgrad_corrected),
    ("adamax", AVERAGES, adamax),
    ("nadam", AVERAGES, nadam),
    ("radam", AVERAGES, radam),
    ("adabelief", AVERAGES, adabelief),
    ("yogi", AVERAGES | {"initial_accumulator": 0.25}, yogi),
    ("rmsprop", {"decay": B2, "eps": EPS, "momentum": 0.5}, rmsprop),
    ("rmsprop", {"decay": B2, "eps": EPS, "centred": True, "eps_inside": True}, rmsprop_centred),
    ("adagrad", {"eps": EPS, "initial_accumulator": 0.5}, adagrad),
]


def run(rule, steps):
    """The last update, and the state after `steps` of the gradients G."""
    x = jnp.ones(3)

    def step(state, g):
        updates, state = rule.update(g, state, x)
        return state, updates

    state, updates = jax.jit(lambda grads: jax.lax.scan(step, rule.init(x), grads))(jnp.asarray(G[:steps]))
    return updates[-1], state


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("steps", [1, 12])
@pytest.mark.parametrize(("kind", "numbers", "expected"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_preconditioner_equals_numpy(kind, numbers, expected, steps):
    rule = register.rules[kind].make(**numbers)
    found = jax.jit(lambda state: preconditioner(rule, state))(run(rule, steps)[1])
    np.testing.assert_allclose(found, expected(G[:steps]), rtol=1e-9)


def test_every_rule_with_a_preconditioned_threshold_is_tested_here():
    limited = {entry.kind for entry in register.rules.values() if "preconditioned_stability" in entry.info}
    assert limited == {kind for kind, _, _ in CASES}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("kind", ["adam", "amsgrad", "adamax", "adabelief", "yogi", "radam"])
def test_preconditioner_divides_the_average_of_gradients_in_the_update(kind):
    for steps in (1, 2, 12):
        rule = register.rules[kind].make(lr=0.3, **AVERAGES)
        updates, state = run(rule, steps)
        np.testing.assert_allclose(updates, -0.3 * average(G[:steps], B1) / preconditioner(rule, state), rtol=1e-8)


@pytest.mark.usefixtures("x64")
def test_preconditioner_uses_the_current_value_of_a_schedule():
    b1s = [0.5, 0.9, 0.7]
    rule = rules.adam(b1=lambda t: jnp.asarray(b1s)[t], b2=B2, eps=EPS)
    t = len(b1s)
    expected = (1 - b1s[-1] ** t) * (np.sqrt(average(G[:t] ** 2, B2) / (1 - B2**t)) + EPS)
    np.testing.assert_allclose(preconditioner(rule, run(rule, t)[1]), expected, rtol=1e-9)


@pytest.mark.usefixtures("x64")
def test_preconditioner_of_a_wrapper_is_that_of_the_inner_rule():
    around = [
        rules.clip_by_norm(of="adam", max_norm=1e9, **AVERAGES),
        rules.average(of="adam", **AVERAGES),
        rules.accumulate(of="adam", **AVERAGES),
        rules.chain(optax.clip(1e9), rules.adam(**AVERAGES), optax.scale(0.5)),
    ]
    for rule in around:
        np.testing.assert_allclose(preconditioner(rule, run(rule, 5)[1]), adam(G[:5]), rtol=1e-9)


def test_preconditioner_is_none_for_rules_without_one_and_for_optax():
    for rule in (
        rules.gd(),
        rules.momentum(),
        rules.clip_by_norm(of="gd"),
        rules.chain(rules.gd()),
        rules.from_optax("adam")(lr=0.1),
    ):
        assert preconditioner(rule, run(rule, 2)[1]) is None
    scheduled = rules.gd(lr=lambda t: 0.1)
    assert preconditioner(scheduled, run(scheduled, 2)[1]) is None


def test_preconditioner_of_adamax_is_infinite_where_no_gradient_has_been():
    rule = rules.adamax()
    _, state = rule.update(jnp.array([0.0, 1.0]), rule.init(jnp.zeros(2)))
    np.testing.assert_array_equal(jnp.isinf(preconditioner(rule, state)), [True, False])


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("kind", "numbers"), [case[:2] for case in CASES if case[0] != "radam"])
def test_preconditioned_threshold_separates_decay_from_growth(kind, numbers):
    """With eps far above all gradients, P = eps throughout, so the rule is linear: x decays or grows.

    RAdam is left out: its first steps have no denominator, and lr is about eps here.
    """
    still = {"weight_decay": 0.0, "momentum_drop": 0.0, "initial_accumulator": 0.0}
    numbers = numbers | {n: v for n, v in still.items() if n in register.rules[kind].parameters} | {"eps": 1e40}
    divisor = 1e20 if numbers.get("eps_inside") else 1e40
    curvature = 2.5
    problem = Problem(init=lambda key: jnp.ones(()), loss=lambda x, batch: 0.5 * curvature * x**2)

    def growth(lr):  # after 60 steps, when the initial zeros no longer matter
        rule = register.rules[kind].make(lr=lr, **numbers)
        path = descend(problem, rule, jax.random.key(0), steps=120, probes={"x": position}).series["x"]
        return jnp.max(jnp.abs(path[100:])) / jnp.max(jnp.abs(path[60:80]))

    line = divisor / curvature * preconditioned_threshold(kind, 1.0, **numbers)
    below, above = jax.vmap(growth)(line * jnp.asarray([0.97, 1.03]))
    assert below < 0.5
    assert above > 2


def test_thresholds_of_known_rules():
    lr = np.array([0.1, 0.2])
    np.testing.assert_allclose(sharpness_threshold("gd", lr), 2 / lr)
    np.testing.assert_allclose(sharpness_threshold("momentum", 0.1, beta=0.5), 30)
    np.testing.assert_allclose(sharpness_threshold("nesterov", 0.1, beta=0.5), 15)
    np.testing.assert_allclose(preconditioned_threshold("adam", lr), 38 / lr)
    np.testing.assert_allclose(preconditioned_threshold("rmsprop", 0.1), 20)
    np.testing.assert_allclose(preconditioned_threshold("gd", 0.1), 20)
    np.testing.assert_allclose(preconditioned_threshold("nadam", 0.1, b1=0.9), 380 / 2.8)
    assert sharpness_threshold("adam", 0.1) is None
    assert preconditioned_threshold("lion", 0.1) is None
    with pytest.raises(ValueError, match="adamm"):
        sharpness_threshold("adamm", 0.1)
