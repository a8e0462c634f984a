"""Escape from a saddle: against a loop in NumPy, draws from the disc, and the gradient flow's time."""

import numpy as np
import pytest


@pytest.fixture
def claims(reproduced):
    return reproduced("saddle_escape")


def test_saddle_escape_claims_hold_and_equal_a_loop(claims):
    assert {claim["status"] for claim in claims.values()} == {"held"}
    for lr, y0, known in [(0.01, 1e-2, 463), (0.01, 1e-8, 1852), (0.1, 1e-2, 49), (0.1, 1e-8, 194)]:
        y, steps = y0, 0
        while abs(y) < 1:
            y, steps = y + lr * y, steps + 1
        assert steps == known
        assert claims[f"descent, lr {lr:g}, y0 {y0:g}: steps to |y| = 1"]["value"] == steps


def test_perturbed_descent_mean_escape_time(claims):
    """Mean over draws from the disc: those of 100,000 points of the square that lie in it."""
    square = np.random.default_rng(0).uniform(-1, 1, (100_000, 2))
    y = 1e-3 * np.abs(square[(square**2).sum(1) < 1, 1])
    for lr, approach in ((0.01, 688), (0.1, 66)):
        drawn = approach + np.ceil(np.log(1 / y) / np.log(1 + lr))
        claim = claims[f"perturbed, lr {lr:g}, y0 0: steps to |y| = 1"]
        expected = (claim["expected"]["low"] + claim["expected"]["high"]) / 2
        assert expected == pytest.approx(drawn.mean(), rel=0.005)
        assert claim["value"] == pytest.approx(drawn.mean(), abs=4 * drawn.std() / 4)


def test_saddle_escape_claims_fail_for_the_gradient_flow_time(reproduced):
    claims = reproduced("saddle_escape", "checks.0.flow=true")
    failed = {name for name, claim in claims.items() if claim["status"] == "failed"}
    assert failed == {name for name in claims if name.startswith("descent, lr")}
