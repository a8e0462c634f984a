"""The heavy ball's rates: against eigenvalues of companion matrices, and in the other convention of momentum."""

import numpy as np
import pytest

SPECTRUM = (0.01, 0.03, 0.1, 0.3, 1.0)


def spectral_radius(lr, beta):
    """Of (x_t, x_(t-1)) -> (x_(t+1), x_t), the largest over the spectrum."""
    return max(abs(np.linalg.eigvals([[1 + beta - lr * l, -beta], [1.0, 0.0]])).max() for l in SPECTRUM)  # noqa: E741


def best(lrs, betas):
    return min((spectral_radius(lr, beta), lr, beta) for lr in lrs for beta in betas)


def test_on_a_coarse_grid_no_claim_fails_and_the_best_cell_is_that_of_the_eigenvalues(reproduced):
    claims = reproduced("momentum_map", "size=fast")
    assert {claim["status"] for claim in claims.values()} == {"held", "unchecked"}
    rate, _, beta = best(np.linspace(0.05, 3.95, 40), np.linspace(0.0125, 0.9875, 40))
    assert claims["best rate"]["value"] == pytest.approx(rate, rel=2e-3)
    assert claims["beta of the best rate"]["value"] == pytest.approx(beta)


def test_the_optimum_in_closed_form():
    assert spectral_radius(400 / 121, (9 / 11) ** 2) == pytest.approx(9 / 11, abs=1e-6)
    assert spectral_radius(400 / 121 + 0.02, (9 / 11) ** 2) > 9 / 11 + 0.01


def test_with_an_average_of_gradients_the_map_is_another(reproduced):
    claims = reproduced("momentum_map", "size=fast", "checks.0.averaged=true")
    assert claims["cells rightly stable or unstable"]["status"] == "failed"


@pytest.mark.slow
def test_its_claims_hold(reproduced):
    claims = reproduced("momentum_map")
    assert {claim["status"] for claim in claims.values()} == {"held"}
