"""Rules on a quadratic: the stability limit, and the rate of convergence of the heavy ball."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import register
from gdlab.rules import momentum, momentum_ema, nesterov
from tests.rules.rule_cases import ENTRIES

LARGEST = 2.5
STABLE = [entry for entry in ENTRIES if "stability" in entry.info]


def descend(rule, curvature, x, steps):
    def step(carry, _):
        x, state = carry
        updates, state = rule.update(curvature * x, state, x)
        return (x + updates, state), None

    return jax.lax.scan(step, (x, rule.init(x)), None, length=steps)[0][0]


def test_stability_is_registered_for_these_rules():
    assert {entry.kind for entry in STABLE} == {
        "aggmo",
        "gd",
        "momentum",
        "momentum_ema",
        "nesterov",
        "nesterov_1983",
        "qhm",
    }


@pytest.mark.parametrize("part", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("entry", STABLE, ids=lambda entry: entry.kind)
def test_stability_separates_converging_from_diverging_learning_rates(entry, part):
    """Twenty learning rates on either side of c / L, 0.25% apart."""
    others = {n: lo + part * (hi - lo) for n, (lo, hi) in entry.info["ranges"].items() if n != "lr"}
    limit = entry.info["stability"](**others) / LARGEST
    factors = 1 + 0.0025 * (np.arange(-20, 20) + 0.5)
    run = jax.jit(jax.vmap(lambda lr: descend(entry.make(lr=lr, **others), LARGEST, jnp.ones(()), 4000)))
    ends = np.abs(np.nan_to_num(run(jnp.asarray(limit * factors, jnp.float32)), nan=np.inf))
    np.testing.assert_array_equal(ends < 1, factors < 1)


@pytest.mark.parametrize(("beta", "dampening"), [(0.0, 0.0), (0.5, 0.0), (0.9, 0.0), (0.9, 0.5)])
def test_stability_of_known_rules(beta, dampening):
    limit = {kind: register.rules[kind].info["stability"] for kind in ("gd", "momentum", "momentum_ema", "nesterov")}
    assert limit["gd"]() == 2
    assert limit["momentum"](beta=beta, dampening=dampening) == pytest.approx(2 * (1 + beta) / (1 - dampening))
    assert limit["momentum_ema"](beta=beta) == pytest.approx((2 + 2 * beta) / (1 - beta))
    assert limit["nesterov"](beta=beta) == pytest.approx((2 + 2 * beta) / (1 + 2 * beta))


def test_stability_is_zero_for_beta_above_one_and_infinite_for_a_constant_velocity():
    assert register.rules["momentum"].info["stability"](beta=1.1) == 0
    assert register.rules["nesterov"].info["stability"](beta=1.1) == 0
    assert register.rules["momentum_ema"].info["stability"](beta=1.0) == np.inf
    constant = descend(momentum_ema(lr=100.0, beta=1.0), LARGEST, jnp.ones(()), 50)
    assert constant == 1
    # Directions of small curvature diverge first; there only beta matters.
    for rule in (momentum(lr=1e-3, beta=1.1), nesterov(lr=1e-3, beta=1.1)):
        assert not abs(descend(rule, 0.01, jnp.ones(()), 2000)) < 1


def test_momentum_with_the_optimal_numbers_converges_at_polyaks_rate():
    """The error shrinks by the factor (sqrt(k) - 1) / (sqrt(k) + 1) per step (Polyak, 1964)."""
    low, high = 0.01, 1.0
    root = (np.sqrt(high) - np.sqrt(low)) / (np.sqrt(high) + np.sqrt(low))
    rule = momentum(lr=(2 / (np.sqrt(high) + np.sqrt(low))) ** 2, beta=root**2)
    with jax.enable_x64(True):
        run = jax.jit(lambda steps: descend(rule, jnp.asarray([low, high]), jnp.ones(2), steps), static_argnums=0)
        ends = [float(jnp.linalg.norm(run(steps))) for steps in (100, 150)]
    # The companion matrix has a double eigenvalue, which adds a factor of the step number.
    np.testing.assert_allclose((ends[1] / ends[0] / 1.5) ** (1 / 50), root, rtol=2e-3)
