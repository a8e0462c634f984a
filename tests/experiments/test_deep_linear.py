"""A deep linear network: against a scalar loop in NumPy, the eigenvectors of the linear flow, and a wrong speed."""

import math

import numpy as np
import pytest


@pytest.fixture
def claims(reproduced):
    return reproduced("deep_linear")


def test_deep_linear_claims_hold_and_half_times_equal_a_scalar_loop(claims):
    """An aligned mode is a scalar c with a = c^2 and c <- c + lr c (s - c^2)."""
    assert {claim["status"] for claim in claims.values()} == {"held"}
    for s in (3.0, 2.1, 1.5, 1.05, 0.75):
        c, steps = math.sqrt(1e-3), 0
        while c**2 < s / 2:
            c, steps = c + 1e-3 * c * (s - c**2), steps + 1
        assert claims[f"aligned: half-time of s = {s:g}"]["value"] == pytest.approx(1e-3 * steps, abs=1.5e-3)


def test_deep_linear_expected_half_times(claims):
    for s, time in ((3, 1.334), (1.5, 2.438), (0.75, 4.412)):
        low, high = claims[f"aligned: half-time of s = {s:g}"]["expected"].values()
        assert (low + high) / 2 == pytest.approx(time, abs=1e-3)


def test_random_weights_mean_initial_strength():
    """Mean over 4000 draws of the strength in the growing direction of the flow near 0, [[0, s], [s, 0]]."""
    draws = np.random.default_rng(1).normal(0, 1e-4, (4000, 2, 32))
    growing = np.linalg.eigh([[0.0, 1.0], [1.0, 0.0]])[1][:, 1]
    c = np.einsum("k,nkh->nh", growing, draws) / math.sqrt(2)  # each of the two weights grows as c e^(s t)
    assert (c**2).sum(1).mean() == pytest.approx(32 * 1e-8 / 2, rel=0.02)


def test_deep_linear_claims_fail_at_half_the_speed(reproduced):
    claims = reproduced("deep_linear", "checks.0.speed=1.0")
    others = {name for name in claims if not name.startswith("random: largest")}
    assert {claims[name]["status"] for name in others} == {"failed"}
