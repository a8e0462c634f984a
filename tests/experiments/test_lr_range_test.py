"""The range test: marks on curves with known marks, the claims, and a mark that is wrong by a decade."""

import numpy as np
import pytest

from gdlab import register
from gdlab.analysis.claims import judge


@pytest.fixture(scope="module")
def results(ran):
    return ran("lr_range_test", "sweep.seed=3")


def test_lr_range_test_finds_where_fixed_rates_fail_for_gd(results):
    assert results[1]["gd: decades from range test to sweep"]["status"] == "held"


def test_lr_range_test_claim_fails_for_a_mark_off_by_a_decade(results):
    claims = register.checks["lr-range-test"].make(results[0], scale=10.0)
    assert {claim.name: judge(claim).status for claim in claims}["gd: decades from range test to sweep"] == "failed"


def test_marks_and_sensitivity_of_known_curves(results):
    """The loss with a rising rate jumps at step 300, fixed rates fail from the eleventh on; the mean is known."""
    data, marks = results[0].copy(deep=True), register.checks["lr-range-test"].make.__globals__
    data["loss"].loc[{"rule": "gd rising"}] = np.where(np.arange(600) < 300, 1.0, 9.0)
    assert marks["turning_rates"](data, "gd rising") == pytest.approx([10 ** (-4 + 5 * 300 / 600)] * 3, rel=1e-6)
    final = np.where(np.arange(16) < 10, 0.5, np.inf)
    final[9] = 0.25
    data["loss"].loc[{"rule": "gd", "step": 0}] = 2.0
    data["final_loss"].loc[{"rule": "gd"}] = final[:, None]
    edge = np.sqrt(data["lr"].values[9] * data["lr"].values[10])
    assert marks["failing_rates"](data, "gd") == pytest.approx([edge] * 3)
    assert marks["sensitivity"](data, "gd") == pytest.approx([(9 * 0.5 + 0.25 + 6 * 2.0) / 16 - 0.25] * 3)
