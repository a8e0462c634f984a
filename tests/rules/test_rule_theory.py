"""What theory says of each rule on a quadratic: where it is stable, and that it converges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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


def test_which_rules_have_a_limit():
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
def test_stable_up_to_the_limit_and_not_beyond(entry, part):
    """Twenty rates on either side of c / L, a quarter of a per cent apart, all told right."""
    others = {n: lo + part * (hi - lo) for n, (lo, hi) in entry.info["ranges"].items() if n != "lr"}
    limit = entry.info["stability"](**others) / LARGEST
    factors = 1 + 0.0025 * (np.arange(-20, 20) + 0.5)
    run = jax.jit(jax.vmap(lambda lr: descend(entry.make(lr=lr, **others), LARGEST, jnp.ones(()), 4000)))
    ends = np.abs(np.nan_to_num(run(jnp.asarray(limit * factors, jnp.float32)), nan=np.inf))
    np.testing.assert_array_equal(ends < 1, factors < 1)


@pytest.mark.parametrize(("beta", "dampening"), [(0.0, 0.0), (0.5, 0.0), (0.9, 0.0), (0.9, 0.5)])
def test_limits_by_name(beta, dampening):
    from gdlab import register

    limit = {kind: register.rules[kind].info["stability"] for kind in ("gd", "momentum", "momentum_ema", "nesterov")}
    assert limit["gd"]() == 2
    assert limit["momentum"](beta=beta, dampening=dampening) == pytest.approx(2 * (1 + beta) / (1 - dampening))
    assert limit["momentum_ema"](beta=beta) == pytest.approx((2 + 2 * beta) / (1 - beta))
    assert limit["nesterov"](beta=beta) == pytest.approx((2 + 2 * beta) / (1 + 2 * beta))


def test_above_one_no_rate_is_stable_and_a_still_velocity_always_is():
    from gdlab import register

    assert register.rules["momentum"].info["stability"](beta=1.1) == 0
    assert register.rules["nesterov"].info["stability"](beta=1.1) == 0
    assert register.rules["momentum_ema"].info["stability"](beta=1.0) == np.inf
    still = descend(momentum_ema(lr=100.0, beta=1.0), LARGEST, jnp.ones(()), 50)
    assert still == 1
    # The flat directions go first: there beta alone decides.
    for rule in (momentum(lr=1e-3, beta=1.1), nesterov(lr=1e-3, beta=1.1)):
        assert not abs(descend(rule, 0.01, jnp.ones(()), 2000)) < 1


def test_heavy_ball_has_polyaks_rate():
    """At the best lr and beta the error shrinks by (sqrt(k) - 1) / (sqrt(k) + 1) a step (Polyak, 1964)."""
    low, high = 0.01, 1.0
    root = (np.sqrt(high) - np.sqrt(low)) / (np.sqrt(high) + np.sqrt(low))
    rule = momentum(lr=(2 / (np.sqrt(high) + np.sqrt(low))) ** 2, beta=root**2)
    with jax.enable_x64(True):
        run = jax.jit(lambda steps: descend(rule, jnp.asarray([low, high]), jnp.ones(2), steps), static_argnums=0)
        ends = [float(jnp.linalg.norm(run(steps))) for steps in (100, 150)]
    # The double root of the companion matrix adds a factor of the step's number.
    np.testing.assert_allclose((ends[1] / ends[0] / 1.5) ** (1 / 50), root, rtol=2e-3)
