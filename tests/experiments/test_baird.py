"""Baird's counterexample: against numbers of the book's setting worked out by hand, and with a wrong discount."""

import numpy as np
import pytest


@pytest.mark.smoke
def test_its_claims_hold(reproduced):
    assert {claim["status"] for claim in reproduced("baird").values()} == {"held"}


def test_the_norm_after_a_thousand_sweeps(reproduced):
    """|w| = 436.86 there and a growth of 0.00238965 a sweep: a loop in NumPy, written apart."""
    features = np.vstack([2 * np.eye(8)[:6] + np.eye(8)[7], np.eye(8)[6] + 2 * np.eye(8)[7]])
    w = np.array([1.0, 1, 1, 1, 1, 1, 10, 1])
    for _ in range(1000):
        values = features @ w
        w = w - 0.01 * (values - 0.99 * values[6]) @ features / 7
    assert np.linalg.norm(w) == pytest.approx(436.86, abs=0.01)
    growth = reproduced("baird")["growth of log |w| in a sweep"]
    assert growth["value"] == pytest.approx(0.00238965, rel=1e-3)


def test_with_another_discount_the_growth_is_another(reproduced):
    claims = reproduced("baird", "checks.0.gamma=0.95")
    assert claims["growth of log |w| in a sweep"]["status"] == "failed"
