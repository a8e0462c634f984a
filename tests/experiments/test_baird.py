"""Baird's counterexample: growth against an independent loop and known numbers, and with a wrong discount."""

import numpy as np
import pytest


@pytest.mark.smoke
def test_baird_claims_hold(reproduced):
    assert {claim["status"] for claim in reproduced("baird").values()} == {"held"}


def test_baird_growth_equals_an_independent_loop(reproduced):
    """|w| = 436.86 after 1000 sweeps in a NumPy loop; log |w| grows by 0.00238965 per sweep."""
    features = np.vstack([2 * np.eye(8)[:6] + np.eye(8)[7], np.eye(8)[6] + 2 * np.eye(8)[7]])
    w = np.array([1.0, 1, 1, 1, 1, 1, 10, 1])
    for _ in range(1000):
        values = features @ w
        w = w - 0.01 * (values - 0.99 * values[6]) @ features / 7
    assert np.linalg.norm(w) == pytest.approx(436.86, abs=0.01)
    growth = reproduced("baird")["growth of log |w| in a sweep"]
    assert growth["value"] == pytest.approx(0.00238965, rel=1e-3)


def test_baird_claim_fails_for_another_discount(reproduced):
    claims = reproduced("baird", "checks.0.gamma=0.95")
    assert claims["growth of log |w| in a sweep"]["status"] == "failed"
